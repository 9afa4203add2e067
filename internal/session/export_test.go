package session

// Encode is the plain form of a session; Decode its inverse.
func Encode(s Session) []byte { return s.append(nil) }

// Decode reads the plain form.
func Decode(b []byte) (Session, error) { return parseSession(b) }

// Check is what Mint holds a session to.
func Check(s Session) error { return s.check() }

// PackID returns the form in which an id is written.
func PackID(id string) (form byte, raw []byte) { return packID(id) }
