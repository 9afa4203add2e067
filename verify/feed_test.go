package verify_test

import (
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/verify"
)

const revoked = countersign.ReasonTokenRevoked

// TestRuleE1RevokedTokenIsRefusedAtOnce, also one that was verified before.
func TestRuleE1RevokedTokenIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	f := followed(t)
	one, other := f.token(object{"jti": "one"}), f.token(object{"jti": "other"})
	f.wantGood(one)
	f.wantGood(one)
	f.wantGood(other)
	if err := f.send(f.page(10, 11, object{"seq": 11, "jti": "one", "exp": now.Unix() + 900})); err != nil {
		t.Fatal(err)
	}
	f.want(one, revoked)
	f.want(one, revoked)
	f.wantGood(other)
	if err := f.send(f.page(11, 12, object{"seq": 12, "jti": "other"})); err != nil {
		t.Fatal(err)
	}
	f.want(one, revoked)
	f.want(other, revoked)
}

func TestRuleE1FirstPageCounts(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	f.first(f.page(0, 10, object{"seq": 3, "jti": "one"}))
	f.want(f.token(object{"jti": "one"}), revoked)
	f.wantGood(f.token(nil))
}

// exchanged is what makes a service's token one of a user by exchange.
func exchanged() object {
	return object{
		"service_id": nil, "service_uid": nil, "sub": "alice", "sub_iss": foreignURL,
		"client_id": "backend-actor", "act": object{"sub": "backend-actor"},
	}
}

func TestRuleE1Selectors(t *testing.T) {
	t.Parallel()
	type which map[string]bool
	f := followed(t)
	tokens := map[string]string{
		"service":       f.token(nil),
		"no uid":        f.token(object{"service_uid": nil}),
		"same name":     f.token(object{"service_uid": "u-2"}),
		"other service": f.token(object{"sub": "b", "client_id": "b", "service_id": "b", "jti": "b-1"}),
		"other key":     mintRaw(object{"alg": "EdDSA", "typ": "at+jwt", "kid": "token-ed"}, []byte(payloadOf(f.token(nil))), edKey),
		"no kid": mint(header().with(object{"kid": nil}), serviceClaims().with(object{
			"iss": f.URL, "sub": "c", "client_id": "c", "service_id": "c", "jti": "c-1",
		})),
		"exchanged":       f.token(exchanged()),
		"foreign":         mint(header(), userClaims()),
		"foreign, bob":    mint(header(), userClaims().with(object{"sub": "bob"})),
		"foreign, no iat": mint(header(), userClaims().with(object{"iat": nil, "jti": "0190a5f2-0000-7000-8000-000000000001"})),
	}
	own := which{"service": true, "no uid": true, "same name": true, "other service": true, "other key": true, "exchanged": true, "no kid": true}
	foreign := which{"exchanged": true, "foreign": true, "foreign, bob": true, "foreign, no iat": true}
	cases := map[string]struct {
		entry object
		hits  which
	}{
		"jti": {object{"jti": "0190a5f2-0000-7000-8000-000000000001"},
			which{"service": true, "no uid": true, "same name": true, "other key": true, "exchanged": true}},
		"another jti":        {object{"jti": "0190a5f2-0000-7000-8000-000000000002"}, nil},
		"service":            {object{"service": "document-service"}, which{"service": true, "no uid": true, "same name": true, "other key": true}},
		"service, uid":       {object{"service": "document-service", "service_uid": "u-1"}, which{"service": true, "no uid": true, "other key": true}},
		"service, other uid": {object{"service": "document-service", "service_uid": "u-3"}, which{"no uid": true}},
		"service's prefix":   {object{"service": "document"}, nil},
		"service in capital": {object{"service": "Document-service"}, nil},
		"acting service":     {object{"service": "backend-actor"}, which{"exchanged": true}},
		"acting, uid":        {object{"service": "backend-actor", "service_uid": "u-9"}, which{"exchanged": true}},
		"user as a service":  {object{"service": "alice"}, nil},
		"foreign issuer":     {object{"issuer": foreignURL}, foreign},
		"issuer, a slash":    {object{"issuer": foreignURL + "/"}, nil},
		"user":               {object{"issuer": foreignURL, "subject": "alice"}, which{"exchanged": true, "foreign": true, "foreign, no iat": true}},
		"user of another":    {object{"issuer": "https://other.example.com", "subject": "alice"}, nil},
		"user of nobody":     {object{"issuer": foreignURL, "subject": "document-service"}, nil},
		"own issuer":         {object{"issuer": f.URL}, own},
		"own subject":        {object{"issuer": f.URL, "subject": "b"}, which{"other service": true}},
		"own subject, alice": {object{"issuer": f.URL, "subject": "alice"}, which{"exchanged": true}},
		"kid":                {object{"kid": "k1"}, which{"service": true, "no uid": true, "same name": true, "other service": true, "exchanged": true, "no kid": true}},
		"other kid":          {object{"kid": "token-ed"}, which{"other key": true, "no kid": true}},
		"all":                {object{"all": true}, own},
		"all false":          {object{"all": false}, nil},
		"a selector to come": {object{"region": "a"}, nil},
		// Sessions are no tokens: these are skipped, whatever they are called.
		"role":               {object{"role": "document-service"}, nil},
		"role, uid":          {object{"role": "document-service", "role_uid": "u-1"}, nil},
		"session":            {object{"session": "0190a5f2-0000-7000-8000-000000000001"}, nil},
		"sealing key":        {object{"kid": "sealing"}, which{"no kid": true}},
		"a known one beside": {object{"service": "b", "region": []int{1}}, which{"other service": true}},
	}
	epoch := 0
	for name, c := range cases {
		epoch++ // each begins anew, with nothing revoked but that
		f.advance(time.Millisecond)
		page := f.page(0, 20, c.entry.with(object{"seq": 15})).with(object{"epoch": strings.Repeat("e", epoch+1)})
		if err := f.send(page); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for which, token := range tokens {
			_, err := f.v.Verify(t.Context(), token)
			if c.hits[which] {
				if countersign.ReasonOf(err) != revoked {
					t.Errorf("%s: %s: %v, want it refused", name, which, err)
				}
			} else if err != nil {
				t.Errorf("%s: %s: %v", name, which, err)
			}
		}
	}
}

func TestRuleE3BeforeCoversTwoSecondsMore(t *testing.T) {
	t.Parallel()
	const before = 1_800_000_000_000 - 100_000 // Unix ms
	for name, c := range map[string]struct {
		before, iat int64
		want        bool
	}{
		"long ago":           {before, now.Unix() - 3600, true},
		"the same second":    {before, now.Unix() - 100, true},
		"2 s later":          {before, now.Unix() - 98, true},
		"3 s later":          {before, now.Unix() - 97, false},
		"2.001 s later":      {before - 1, now.Unix() - 98, false},
		"1.999 s later":      {before + 1, now.Unix() - 98, true},
		"later":              {before, now.Unix(), false},
		"any":                {0, now.Unix(), true},
		"a cutoff to come":   {before + 200_000, now.Unix(), true},
		"the first of times": {1, now.Unix() - 3600, false},
	} {
		for kind, entry := range map[string]object{
			"service": {"service": "document-service", "service_uid": "u-1"}, "all": {"all": true}, "kid": {"kid": "k1"},
			"jti": {"jti": "0190a5f2-0000-7000-8000-000000000001"},
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				t.Parallel()
				f := followed(t)
				if err := f.send(f.page(10, 11, entry.with(object{"seq": 11, "before": c.before}))); err != nil {
					t.Fatal(err)
				}
				_, err := f.v.Verify(t.Context(), f.token(object{"iat": c.iat}))
				if got := countersign.ReasonOf(err) == revoked; got != c.want || err != nil && !got {
					t.Errorf("%v, want revoked %v", err, c.want)
				}
			})
		}
	}
}

// TestRuleE3TokenWithoutIssuedAtIsOld: a foreign issuer may leave it out.
func TestRuleE3TokenWithoutIssuedAtIsOld(t *testing.T) {
	t.Parallel()
	f := followed(t)
	alice, old := mint(header(), userClaims()), mint(header(), userClaims().with(object{"iat": nil}))
	if err := f.send(f.page(10, 11, object{"seq": 11, "issuer": foreignURL, "subject": "alice", "before": 1000})); err != nil {
		t.Fatal(err)
	}
	f.wantGood(alice)
	f.want(old, revoked)
}

// TestRuleE1EntriesEnd: five minutes after what they could hit, and then they are gone.
func TestRuleE1EntriesEnd(t *testing.T) {
	t.Parallel()
	f := followed(t)
	token := f.token(nil)
	entries := []object{
		{"seq": 11, "service": "document-service", "exp": now.Unix() + 60},
		{"seq": 12, "jti": "another"},
		{"seq": 13, "kid": "another", "exp": now.Unix() - 301}, // ended before it came
	}
	if err := f.send(f.page(10, 13, entries...)); err != nil {
		t.Fatal(err)
	}
	if got := f.v.FeedEntries(); got != 3 {
		t.Errorf("%d cutoffs, want 3", got)
	}
	f.advance(6 * time.Minute)
	f.want(token, revoked)
	f.advance(time.Second)
	f.wantGood(token)
	if err := f.send(f.page(13, 13)); err != nil {
		t.Fatal(err)
	}
	if got := f.v.FeedEntries(); got != 1 {
		t.Errorf("%d cutoffs after they ended, want 1", got)
	}
}

// TestRuleE1LaterEntryNeverShortensAnEarlierOne.
func TestRuleE1LaterEntryNeverShortensAnEarlierOne(t *testing.T) {
	t.Parallel()
	f := followed(t)
	young, old := f.token(nil), f.token(object{"iat": now.Unix() - 3600})
	service := object{"service": "document-service"}
	if err := f.send(f.page(10, 13,
		service.with(object{"seq": 11, "exp": now.Unix() + 60}),
		service.with(object{"seq": 12, "before": (now.Unix() - 1800) * 1000, "exp": now.Unix() + 3600}),
		service.with(object{"seq": 13, "before": (now.Unix() - 1800) * 1000, "exp": now.Unix() + 30}),
	)); err != nil {
		t.Fatal(err)
	}
	f.want(young, revoked)
	f.want(old, revoked)
	f.advance(7 * time.Minute)
	f.wantGood(young)
	f.want(old, revoked)
}

func TestRuleE1ABoundOfEntriesIsKept(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	f.v.LimitFeed(8)
	f.first(f.page(0, 10, object{"seq": 1, "jti": "a"}, object{"seq": 2, "jti": "b"}))
	// Seven places are needed where six are left; what is about sessions takes none.
	if err := f.send(f.page(10, 14, object{"seq": 11, "jti": "c"}, object{"seq": 12, "service": "d"}, object{"seq": 13, "kid": "e"},
		object{"seq": 14, "service": "f"})); err == nil {
		t.Fatal("more entries than there is room for were taken")
	}
	if err := f.send(f.page(10, 19, object{"seq": 11, "role": "c"}, object{"seq": 12, "session": "d"}, object{"seq": 13, "role": "e"},
		object{"seq": 14, "session": "f"}, object{"seq": 15, "session": "g"}, object{"seq": 16, "session": "h"}, object{"seq": 17, "session": "i"})); err != nil {
		t.Fatalf("entries about sessions fill the set: %v", err)
	}
	f.want(f.token(object{"jti": "a"}), revoked) // what was in force stays so
	f.wantGood(f.token(object{"jti": "c"}))
	f.advance(11 * time.Minute)
	f.want(f.token(object{"jti": "c"}), countersign.ReasonRevocationUnknown)
}

// TestRuleE1ForeignTokensWaitForTheFirstPageToo, but don't depend on it.
func TestRuleE1ForeignTokensWaitForTheFirstPageToo(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	done := make(chan error, 1)
	go func() {
		_, err := f.v.Verify(t.Context(), mint(header(), userClaims()))
		done <- err
	}()
	if err := f.send(f.page(0, 10, object{"seq": 1, "issuer": foreignURL, "subject": "alice"})); err != nil {
		t.Fatal(err)
	}
	wantReason(t, <-done, revoked)

	f = newFeed(t, impatient)
	f.wantGood(mint(header(), userClaims()))
	f.want(f.token(nil), countersign.ReasonRevocationUnknown)
}

func TestConfigRevocationsIsAskedBesides(t *testing.T) {
	t.Parallel()
	f := followed(t, func(_ *feed, cfg *verify.Config) { cfg.Revocations = revokeSubject("bob") })
	f.want(mint(header(), userClaims().with(object{"sub": "bob"})), revoked)
	f.wantGood(mint(header(), userClaims()))
	if err := f.send(f.page(10, 11, object{"seq": 11, "issuer": foreignURL, "subject": "alice"})); err != nil {
		t.Fatal(err)
	}
	f.want(mint(header(), userClaims()), revoked)
}
