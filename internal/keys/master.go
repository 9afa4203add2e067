package keys

// Master is the master key: it seals private keys at rest and derives others.
type Master struct{}

// LoadMaster reads the master key file: 32 bytes, base64 or hex on one line. With
// create, a missing file is made (mode 0600, fsynced, never overwritten).
//
// Errors: countersign.Invalid (not a key, readable by others), countersign.NotFound,
// countersign.Unavailable (can't be read or made).
func LoadMaster(path string, create bool) (*Master, error) { panic("contract") }

// ParseMaster reads a master key from text, for keys: {master: {env: NAME}}.
func ParseMaster(text string) (*Master, error) { panic("contract") }

// Seal encrypts with AES-256-GCM; purpose, id and deployment are additional data.
func (m *Master) Seal(purpose, id, deployment string, plain []byte) ([]byte, error) {
	panic("contract")
}

// Unseal is the inverse of Seal: countersign.BadSignature if anything differs.
func (m *Master) Unseal(purpose, id, deployment string, sealed []byte) ([]byte, error) {
	panic("contract")
}

// Derive returns 32 bytes by HKDF-SHA-256 for a label ("client-secret/v1").
func (m *Master) Derive(label, deployment string) []byte { panic("contract") }
