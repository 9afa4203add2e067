package verify

// The revocation feed: GET of revocations_endpoint with ?since=SEQ&epoch=EPOCH&wait=25s
// answers a compact JWS whose payload is a FeedPage.
const (
	// FeedMediaType is the answer's Content-Type, FeedTokenType the typ of its header.
	FeedMediaType = "application/revocations+jwt"
	FeedTokenType = "revocations+jwt" //nolint:gosec // G101: a media type is no credential
)

// FeedPage is one page of the revocation feed (RULES E1). It is signed with EdDSA by a
// key that signs nothing else, from the key set at revocations_jwks_uri of the issuer's
// discovery document.
type FeedPage struct {
	// Issuer is whose tokens the entries are about: as in their iss.
	Issuer string `json:"iss"`
	// IssuedAt is when the page was signed, in Unix seconds.
	IssuedAt int64 `json:"iat"`
	// Epoch names the count of Seq: another one begins at 0 again (a database that was
	// restored). Who followed another epoch starts anew from since=0.
	Epoch string `json:"epoch"`
	// Since is the number that was asked for, or 0 where it meant nothing here: all
	// entries with a number above it, up to Seq, are in the page.
	Since int64 `json:"since"`
	Seq   int64 `json:"seq"`
	// More: there is more already; ask again at once.
	More bool `json:"more,omitempty"`
	// FreshAt is when the server last knew the whole truth, in Unix milliseconds.
	FreshAt int64        `json:"fresh_at"`
	Entries []Revocation `json:"entries"`
}

// Revocation is one entry. Exactly one of JTI, Service, Issuer, KID, All, Role and Session
// is set. Those of Role and Session are about sessions of the STS, which no verifier of
// tokens meets: it skips them.
type Revocation struct {
	Seq int64 `json:"seq"`
	// JTI: one token.
	JTI string `json:"jti,omitempty"`
	// Service: the tokens of a service; with ServiceUID, of that registration of it only.
	Service    string `json:"service,omitempty"`
	ServiceUID string `json:"service_uid,omitempty"`
	// Issuer: what that (foreign) issuer issued; with Subject, to that user.
	Issuer  string `json:"issuer,omitempty"`
	Subject string `json:"subject,omitempty"`
	// KID: all that a key signed or sealed.
	KID string `json:"kid,omitempty"`
	// All: every token of FeedPage.Issuer.
	All bool `json:"all,omitempty"`
	// Role: the sessions of a role; with RoleUID, of that registration of it only.
	Role    string `json:"role,omitempty"`
	RoleUID string `json:"role_uid,omitempty"`
	// Session: one session, by its access key id.
	Session string `json:"session,omitempty"`
	// Before, in Unix milliseconds: only tokens with iat up to Before + 2 s (RULES E3);
	// 0 = any.
	Before int64 `json:"before,omitempty"`
	// Expires, in Unix seconds: nothing that this could hit is alive later; 0 = never.
	Expires int64 `json:"exp,omitempty"`
}
