package verify

import (
	"context"
	"errors"
	"time"

	"github.com/countersign/countersign"
)

// Verifier verifies tokens. Safe for concurrent use.
type Verifier struct {
	audience    string
	issuers     map[string][]*issuer
	revocations RevocationChecker
	cache       *cache // nil = none
	remote      *remotes
	feeds       *feeds
	now         func() time.Time
}

// New checks the configuration; it fetches nothing.
//
// Errors: [countersign.Invalid].
func New(cfg Config) (*Verifier, error) {
	v := &Verifier{audience: cfg.Audience, revocations: cfg.Revocations, now: cfg.Now}
	if v.now == nil {
		v.now = time.Now
	}
	if len(cfg.Issuers) == 0 {
		return nil, invalid("at least one issuer is needed")
	}
	if cfg.MaxStaleness < 0 {
		return nil, invalid("MaxStaleness is 0 or longer")
	}
	if cfg.MaxStaleness == 0 {
		cfg.MaxStaleness = defaultMaxStaleness
	}
	v.remote = newRemotes(cfg.RootCAs, v.now)
	v.feeds = newFeeds(v.remote.ctx)
	issuers := make([]*issuer, 0, len(cfg.Issuers))
	for _, entry := range cfg.Issuers {
		i, err := newIssuer(entry, cfg)
		if err != nil {
			return nil, errors.Join(err, v.Close())
		}
		i.keys = entry.Keys
		if i.keys == nil {
			i.keys = v.remote.of(entry)
		}
		if isFollowed(i) {
			i.follower = v.feeds.follow(entry, v.remote, cfg.MaxStaleness)
		}
		issuers = append(issuers, i)
	}
	var err error
	if v.issuers, err = indexIssuers(issuers); err != nil {
		return nil, errors.Join(err, v.Close())
	}
	switch {
	case cfg.MaxCached < -1:
		_ = v.Close()
		return nil, invalid("MaxCached is -1, 0 or the number of tokens")
	case cfg.MaxCached == 0:
		v.cache = newCache(defaultMaxCached)
	case cfg.MaxCached > 0:
		v.cache = newCache(cfg.MaxCached)
	}
	return v, nil
}

// Audience returns Config.Audience: the name of the receiving service.
func (v *Verifier) Audience() string { return v.audience }

// Close ends background refreshes and the following of revocation feeds, and waits for
// them. Afterwards no key is fetched any more, and what is revoked is known no longer
// than Config.MaxStaleness. A verifier that is never closed keeps one goroutine and one
// connection for each feed that it follows.
//
// Errors: none.
func (v *Verifier) Close() error {
	v.remote.cancel()
	v.feeds.close()
	v.remote.close()
	return nil
}

// Verify checks a compact JWS of at most 16 KiB in full and says who it is about.
// ctx bounds the wait for keys and for the first page of a revocation feed; the latter is
// also bounded by 2 seconds from the first token that is verified, and what comes later
// is refused at once until that page is there.
//
// Errors: [countersign.BadToken], [countersign.Expired], [countersign.Upstream]
// (keys can't be had), [countersign.Unavailable] (revocation state unknown), each
// with its Reason.
// Source: RFC 7519 §7.2, RFC 8725, RFC 9068 §4.
func (v *Verifier) Verify(ctx context.Context, token string) (*Token, error) {
	if len(token) > maxTokenBytes {
		return nil, refuse(countersign.ReasonTokenTooLarge, "more than 16 KiB")
	}
	now := v.now()
	if v.cache == nil {
		e, err := v.verify(ctx, token, now)
		if err != nil {
			return nil, err
		}
		return e.token, nil
	}
	id := keyOf(token)
	if e := v.cache.get(id); e != nil {
		known, err := v.recheck(ctx, e, now)
		if known {
			return e.token, nil
		}
		if countersign.CodeOf(err) != countersign.Unavailable {
			v.cache.remove(e)
		}
		if err != nil {
			return nil, err
		}
	}
	e, err := v.verify(ctx, token, now)
	if err != nil {
		return nil, err
	}
	e.id = id
	v.cache.put(e)
	return e.token, nil
}

// verify does everything; the order of the checks is that of recheck.
func (v *Verifier) verify(ctx context.Context, token string, now time.Time) (*entry, error) {
	mem := newScratch()
	defer mem.free()
	var d document
	if err := d.parse(token, mem); err != nil {
		return nil, refuseBecause(countersign.ReasonTokenMalformed, err)
	}
	i, err := v.choose(&d.claims)
	if err != nil {
		return nil, err
	}
	if err := i.checkHeader(&d.header); err != nil {
		return nil, err
	}
	e := &entry{issuer: i, kid: d.header.keyID, algorithm: d.header.algorithm}
	v.feeds.start()
	if e.key, err = i.keys.Key(ctx, e.kid, e.algorithm); err != nil {
		return nil, keyError(err)
	}
	if err := checkSignature(e.algorithm, e.key, d.signingInput, d.signature); err != nil {
		return nil, err
	}
	// From here on the claims are the issuer's words.
	if e.token, e.dates, err = i.read(&d); err != nil {
		return nil, err
	}
	if err := e.dates.check(now); err != nil {
		return nil, err
	}
	return e, v.checkRevoked(ctx, e, now)
}

// recheck repeats for a token that was verified before what may have changed since:
// the key, the dates, revocation. known is false with a nil error if the token must
// be verified anew.
func (v *Verifier) recheck(ctx context.Context, e *entry, now time.Time) (known bool, err error) {
	key, err := e.issuer.keys.Key(ctx, e.kid, e.algorithm)
	if err != nil {
		return false, keyError(err)
	}
	if !sameKey(key, e.key) {
		return false, nil
	}
	if err := e.dates.check(now); err != nil {
		return false, err
	}
	if err := v.checkRevoked(ctx, e, now); err != nil {
		return false, err
	}
	return true, nil
}

func (v *Verifier) checkRevoked(ctx context.Context, e *entry, now time.Time) error {
	if err := v.feeds.check(ctx, e, now); err != nil {
		return err
	}
	if v.revocations == nil {
		return nil
	}
	revoked, err := v.revocations.Revoked(ctx, e.token)
	if err != nil {
		return countersign.WrapError(countersign.Unavailable, countersign.ReasonRevocationUnknown, msgRevocations, err)
	}
	if revoked {
		return errRevoked
	}
	return nil
}

// keyError holds a KeySource to its contract: any other failure is one to have keys.
func keyError(err error) error {
	if code := countersign.CodeOf(err); code == countersign.BadToken || code == countersign.Upstream {
		return err
	}
	return keysUnavailable(err)
}

// read reads the claims of a token whose signature is good.
func (i *issuer) read(d *document) (*Token, dates, error) {
	r := reader{claims: &d.claims}
	if _, bound := r.claims.find("cnf"); bound {
		return nil, dates{}, refuse(countersign.ReasonProofRequired, "cnf can't be proven")
	}
	own := i.Profile == Countersign
	if i.Profile == Cognito && r.optional("token_use") != i.TokenUse {
		return nil, dates{}, refuse(countersign.ReasonTokenUseMismatch, "token_use is another one")
	}
	t := &Token{Issuer: i.URL}
	var matched string
	t.Audience, matched = i.audience(&r)
	if r.err == nil && matched == "" && !i.anyAudience {
		return nil, dates{}, refuse(countersign.ReasonAudMismatch, "the token is for somebody else")
	}
	times := readDates(&r, own)
	t.Subject = r.identity("sub", true)
	t.ID = r.identity("jti", own)
	t.ClientID = r.identity("client_id", own)
	if _, ok := d.claims.find("client_id"); !ok && !own {
		t.ClientID = r.optional("azp")
	}
	t.IssuedAt, t.ExpiresAt = timeOf(times.issuedAt), timeOf(times.expiresAt)
	t.Principal = i.identify(&r, t, countersign.Proof{
		Method: "jwt", TokenID: t.ID, KeyID: d.header.keyID, Audience: matched,
		IssuedAt: t.IssuedAt, ExpiresAt: t.ExpiresAt,
	})
	if r.err != nil {
		return nil, dates{}, r.err
	}
	if t.Principal.User.IsZero() == t.Principal.Service.IsZero() {
		return nil, dates{}, refuseBecause(countersign.ReasonPrincipalUnsupported, errors.New("neither a user nor a service"))
	}
	t.Claims = make(map[string]RawClaim, len(d.claims.members))
	for _, m := range d.claims.members {
		t.Claims[m.name] = RawClaim(d.claims.values[m.start:m.end:m.end])
	}
	return t, times, nil
}
