package trust

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

// OwnAudience is the audience of a service token of ours that is a proof at the STS.
const OwnAudience = "sts"

// Config of a [Verifier].
type Config struct {
	// OwnIssuer is our issuer URL and OwnKeys are the keys of our tokens. Required.
	OwnIssuer string
	OwnKeys   verify.KeySource
	// Issuers are the foreign ones. Required.
	Issuers Issuers
	// Revocations is asked for every token, ours and foreign; nil = nobody is.
	Revocations verify.RevocationChecker
	// RootCAs are trusted for TLS when keys are fetched; nil = the system's.
	RootCAs *x509.CertPool
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Verifier proves who JWTs are about. Safe for concurrent use.
type Verifier struct {
	ownIssuer string
	own       *verify.Verifier
	issuers   Issuers
	pool      *pool
}

// New returns a Verifier; it fetches nothing.
//
// Errors: countersign.Invalid.
func New(cfg Config) (*Verifier, error) {
	if cfg.OwnIssuer == "" || cfg.OwnKeys == nil || cfg.Issuers == nil {
		return nil, countersign.NewError(countersign.Invalid, "", "a verifier needs our issuer, its keys and the foreign issuers")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	own, err := verify.New(verify.Config{
		Audience: OwnAudience, Revocations: cfg.Revocations, Now: cfg.Now,
		Issuers: []verify.Issuer{{URL: cfg.OwnIssuer, Subject: verify.Service, Profile: verify.Countersign, Keys: cfg.OwnKeys}},
	})
	if err != nil {
		return nil, err
	}
	return &Verifier{ownIssuer: cfg.OwnIssuer, own: own, issuers: cfg.Issuers, pool: newPool(cfg)}, nil
}

// Close ends what runs in the background and waits for it.
//
// Errors: none.
func (v *Verifier) Close() error {
	v.pool.close()
	return v.own.Close()
}

// WebIdentity proves who a JWT of ours or of a foreign issuer is about. A token of ours
// has the audience sts and nothing else, and is a service's by client credentials (RULES
// A3, B1); a foreign one has an audience that its Issuer document lists. ctx bounds the
// wait for keys.
//
// Errors: countersign.BadToken, countersign.Expired; countersign.Upstream when the
// issuer's keys can't be had; countersign.Unavailable when we can't tell what is revoked or
// which issuers there are; countersign.Internal for an Issuer document that can't be used.
// Source: RFC 7519 §7.2, RFC 8725.
func (v *Verifier) WebIdentity(ctx context.Context, token string) (Identity, error) {
	said, err := verify.ParseUnverified(token)
	if err != nil {
		return Identity{}, err
	}
	if said.Issuer != v.ownIssuer {
		return v.foreign(ctx, token, &said)
	}
	t, err := v.own.Verify(ctx, token)
	if err != nil {
		return Identity{}, err
	}
	if len(t.Audience) != 1 {
		return Identity{}, refuse(countersign.ReasonAudMismatch, "our tokens have one audience")
	}
	id, err := identityOf(t)
	if err != nil {
		return Identity{}, err
	}
	service := &t.Principal.Service
	id.Kind, id.Subject = KindService, service.Name
	id.Service, id.ServiceUID, id.Tenant = service.Name, service.UID, service.Tenant
	id.TokenID, id.KID = t.ID, service.Proof.KeyID
	return id, nil
}

// ForeignToken proves who a JWT of a foreign issuer is about, and refuses ours: for
// federated client assertions.
//
// Errors: as WebIdentity.
func (v *Verifier) ForeignToken(ctx context.Context, token string) (Identity, error) {
	said, err := verify.ParseUnverified(token)
	if err != nil {
		return Identity{}, err
	}
	return v.foreign(ctx, token, &said)
}

// UserToken proves who a user's token is about: a JWT of an Issuer document of kind user,
// with an audience that the document lists (RULES C5).
//
// Errors: as WebIdentity; countersign.BadToken with ReasonPrincipalUnsupported when the
// issuer's subjects are no users.
func (v *Verifier) UserToken(ctx context.Context, token string) (Identity, error) {
	id, err := v.ForeignToken(ctx, token)
	if err != nil {
		return Identity{}, err
	}
	if !id.User {
		return Identity{}, refuse(countersign.ReasonPrincipalUnsupported, "the issuer's subjects are no users")
	}
	return id, nil
}

// foreign verifies with the verifier of the one document that is meant. What the token
// says of itself chooses it and nothing more: the verifier reads the token anew.
func (v *Verifier) foreign(ctx context.Context, token string, said *verify.Unverified) (Identity, error) {
	if said.Issuer == v.ownIssuer || said.Issuer == "" {
		return Identity{}, refuse(countersign.ReasonIssuerUnknown, "not a foreign issuer")
	}
	documents, err := v.issuers.Issuers(ctx, said.Issuer)
	if err != nil {
		return Identity{}, err
	}
	documents = exactly(said.Issuer, documents)
	v.pool.retain(said.Issuer, documents)
	chosen, err := choose(documents, said)
	if err != nil {
		return Identity{}, err
	}
	entry, err := v.pool.acquire(chosen)
	if err != nil {
		// Not the caller's fault: a document that can't be used should not have been saved.
		return Identity{}, countersign.WrapError(countersign.Internal, countersign.ReasonResourceInvalid, "", err)
	}
	defer v.pool.release(entry)
	t, err := entry.verifier.Verify(ctx, token)
	if err != nil {
		return Identity{}, err
	}
	return foreignIdentity(chosen, t)
}

// exactly leaves out documents of another URL, of which there are none unless Issuers is
// wrong.
func exactly(url string, documents []Issuer) []Issuer {
	other := func(d Issuer) bool { return d.URL != url }
	for i := range documents {
		if documents[i].URL != url {
			return slices.DeleteFunc(slices.Clone(documents), other)
		}
	}
	return documents
}

// choose finds the document that a token is for.
func choose(documents []Issuer, said *verify.Unverified) (*Issuer, error) {
	switch len(documents) {
	case 0:
		return nil, refuse(countersign.ReasonIssuerUnknown, "no such issuer")
	case 1:
		return &documents[0], nil
	}
	var chosen *Issuer
	for i := range documents {
		if !documents[i].lists(said) {
			continue
		}
		if chosen != nil {
			return nil, refuse(countersign.ReasonAudMismatch, "the audiences are of two issuers")
		}
		chosen = &documents[i]
	}
	if chosen == nil {
		return nil, refuse(countersign.ReasonAudMismatch, "none of the issuers accepts the audience")
	}
	return chosen, nil
}

// lists reports whether the issuer accepts an audience of the token.
func (i *Issuer) lists(said *verify.Unverified) bool {
	audiences := said.Audience
	if i.Profile == string(verify.Cognito) && i.TokenUse == "access" {
		audiences = []string{said.ClientID}
	}
	return slices.ContainsFunc(audiences, func(a string) bool { return a != "" && slices.Contains(i.Audiences, a) })
}
