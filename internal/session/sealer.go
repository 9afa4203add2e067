package session

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/base64"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
)

const (
	// prefixSession begins the access key id of a session. That of a service's own key,
	// AKIA, never comes with a session token.
	prefixSession = "ASIA"
	// idBytes are 80 random bits: 16 characters of base32.
	idBytes          = 10
	accessKeyIDBytes = len(prefixSession) + 16

	// typicalBytes has room for most sessions; the others take more.
	typicalBytes = 384

	// maxAhead is how far the start of a session may be in the future: replicas whose clocks
	// are further apart are not ready, and a revocation covers as much (RULES E3).
	maxAhead = 2 * time.Second
)

// Config of a [Sealer]. Keys and DeploymentID are required.
type Config struct {
	Keys         *keys.Ring
	DeploymentID string
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Sealer mints and opens session tokens. It holds nothing but its Config. Safe for
// concurrent use.
type Sealer struct {
	keys       *keys.Ring
	deployment string
	now        func() time.Time
}

// New returns a Sealer. It panics when Keys or DeploymentID is missing: a token that is
// bound to no deployment would be good in every one.
func New(cfg Config) *Sealer {
	if cfg.Keys == nil || cfg.DeploymentID == "" {
		panic("session: keys and a deployment id are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Sealer{keys: cfg.Keys, deployment: cfg.DeploymentID, now: cfg.Now}
}

// Mint seals a session under a fresh access key id and returns its credentials, and the
// session as Open will return it. It decides nothing: what it is given is taken as verified.
//
// Errors: countersign.TooLarge (the token would be over MaxTokenBytes), Unavailable (no
// sealing key), Internal (a session that lacks something, or lives too long).
func (s *Sealer) Mint(session Session) (Credentials, Session, error) {
	session.IssuedAt, session.ExpiresAt = wholeSeconds(session.IssuedAt), wholeSeconds(session.ExpiresAt)
	if session.ProvenAt = wholeSeconds(session.ProvenAt); session.ProvenAt.Unix() < 0 || !session.ProvenAt.Before(session.IssuedAt) {
		session.ProvenAt = time.Time{}
	}
	if err := session.check(); err != nil {
		return Credentials{}, Session{}, err
	}
	kid, key, err := s.keys.CurrentSealingKey()
	if err != nil {
		return Credentials{}, Session{}, err //nolint:wrapcheck // it is made of the same words
	}
	session.AccessKeyID, session.SealedBy = newAccessKeyID(), kid
	plain := session.append(make([]byte, 0, typicalBytes))
	if len(plain) > maxPlainBytes {
		return Credentials{}, Session{}, errTooLarge
	}
	e, err := newEnvelope(kid, session.AccessKeyID, s.deployment, len(plain))
	if err != nil {
		return Credentials{}, Session{}, err
	}
	token, secret, err := e.seal(key, plain)
	if err != nil {
		return Credentials{}, Session{}, err
	}
	return Credentials{
		AccessKeyID: session.AccessKeyID, SecretAccessKey: countersign.NewSecret(secret),
		SessionToken: countersign.NewSecret(token), ExpiresAt: session.ExpiresAt,
	}, session, nil
}

// Open returns the session of a token and its secret access key. That the caller has the
// secret is for a signature to prove: until then it is only known that we minted the token.
//
// Errors: countersign.BadToken (not ours, not whole, of another access key id or deployment,
// sealed by a key that was dropped), Expired.
func (s *Sealer) Open(accessKeyID string, token countersign.Secret) (Session, countersign.Secret, error) {
	if err := checkAccessKeyID(accessKeyID, token); err != nil {
		return Session{}, countersign.Secret{}, err
	}
	e, sealed, err := parseEnvelope(token.Reveal(), accessKeyID, s.deployment)
	if err != nil {
		return Session{}, countersign.Secret{}, err
	}
	key, ok := s.keys.SealingKey(e.kid)
	if !ok {
		return Session{}, countersign.Secret{}, badToken(countersign.ReasonKeyUnknown, nil)
	}
	plain, secret, err := e.open(key, sealed)
	if err != nil {
		return Session{}, countersign.Secret{}, err
	}
	session, err := parseSession(plain)
	if err != nil {
		return Session{}, countersign.Secret{}, badToken(countersign.ReasonTokenMalformed, err)
	}
	switch now := s.now(); {
	case !now.Before(session.ExpiresAt):
		return Session{}, countersign.Secret{}, errExpired
	case session.IssuedAt.After(now.Add(maxAhead)):
		return Session{}, countersign.Secret{}, badToken(countersign.ReasonTokenNotYetValid, nil)
	}
	session.AccessKeyID, session.SealedBy = accessKeyID, e.kid
	return session, countersign.NewSecret(secret), nil
}

// ValidAccessKeyID reports whether text is one that Mint could have drawn.
func ValidAccessKeyID(text string) bool {
	if len(text) != accessKeyIDBytes || text[:len(prefixSession)] != prefixSession {
		return false
	}
	for i := len(prefixSession); i < len(text); i++ {
		if c := text[i]; (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// checkAccessKeyID: the prefix decides the path (RULES D5).
func checkAccessKeyID(id string, token countersign.Secret) error {
	switch {
	case token.IsZero():
		return badToken(countersign.ReasonTokenMissing, nil)
	case !ValidAccessKeyID(id): // AKIA, too: no long-lived key comes with a token
		return badToken(countersign.ReasonAccessKeyMalformed, nil)
	}
	return nil
}

func newAccessKeyID() string {
	var random [idBytes]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program instead
	return prefixSession + base32.StdEncoding.EncodeToString(random[:])
}

func wholeSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// strict refuses bits after the end, so that one token has one text.
var strict = base64.RawURLEncoding.Strict()

var (
	errTooLarge = countersign.NewError(countersign.TooLarge, countersign.ReasonSessionTooLarge,
		"the session policy, the tags and what the role needs to know are too large together")
	errExpired = countersign.NewError(countersign.Expired, countersign.ReasonTokenExpired, "the session is over")
)

// badToken says the same of every bad token; the reason is for the log.
func badToken(reason countersign.Reason, cause error) error {
	return countersign.WrapError(countersign.BadToken, reason, "the session token is not valid", cause)
}
