package verify_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
)

// TestRuleE1PagesThatAreRefused: what was in force stays in force, and the next good page
// is taken.
func TestRuleE1PagesThatAreRefused(t *testing.T) {
	t.Parallel()
	f := followed(t)
	if err := f.send(f.page(10, 20, object{"seq": 15, "jti": "known"})); err != nil {
		t.Fatal(err)
	}
	known, target := f.token(object{"jti": "known"}), f.token(object{"jti": "x"})
	entry := func(seq int64) object { return object{"seq": seq, "jti": "x"} }
	good := func(changes object) string {
		return string(must(json.Marshal(f.page(20, 25, entry(23)).with(changes))))
	}
	signed := func(page string) string { return mintRaw(feedHeader(), []byte(page), feedKey) }
	with := func(header object) string { return mintRaw(feedHeader().with(header), []byte(good(nil)), feedKey) }
	long := signed(good(nil))
	tests := map[string]string{
		"nothing":               "",
		"not a JWS":             good(nil),
		"truncated":             long[:len(long)-1],
		"half":                  long[:len(long)/2],
		"no signature":          long[:strings.LastIndexByte(long, '.')+1],
		"two pages":             long + "\n" + long,
		"another signature":     long[:strings.LastIndexByte(long, '.')] + strings.Repeat("A", 86),
		"a token key":           mintRaw(feedHeader().with(object{"kid": "token-ed"}), []byte(good(nil)), edKey),
		"a token key, its name": mintRaw(feedHeader(), []byte(good(nil)), edKey),
		"an EC token key":       mintRaw(feedHeader().with(object{"alg": "ES256", "kid": "k1"}), []byte(good(nil)), ecKey),
		"alg none":              with(object{"alg": "none"}),
		"alg ES256":             with(object{"alg": "ES256"}),
		"no alg":                with(object{"alg": nil}),
		"typ of tokens":         with(object{"typ": "at+jwt"}),
		"typ with application":  with(object{"typ": "application/revocations+jwt"}),
		"typ in capitals":       with(object{"typ": "Revocations+JWT"}),
		"no typ":                with(object{"typ": nil}),
		"no kid":                with(object{"kid": nil}),
		"unknown kid":           with(object{"kid": "feed-2"}),
		"crit":                  with(object{"crit": []string{"exp"}}),
		"jwk":                   with(object{"jwk": jwk("feed-1", feedKey.Public())}),

		"another issuer":         signed(good(object{"iss": f.URL + "/"})),
		"no issuer":              signed(good(object{"iss": nil})),
		"iss array":              signed(good(object{"iss": []string{f.URL}})),
		"signed long ago":        signed(good(object{"iat": now.Unix() - 121})),
		"signed in the future":   signed(good(object{"iat": now.Unix() + 61})),
		"fresh in the future":    signed(good(object{"fresh_at": (now.Unix() + 61) * 1000})),
		"fresh before 1970":      signed(good(object{"fresh_at": -1})),
		"no iat":                 signed(good(object{"iat": nil})),
		"no fresh_at":            signed(good(object{"fresh_at": nil})),
		"no epoch":               signed(good(object{"epoch": nil})),
		"empty epoch":            signed(good(object{"epoch": ""})),
		"no since":               signed(good(object{"since": nil})),
		"another since":          signed(good(object{"since": 19})),
		"since ahead":            signed(good(object{"since": 21})),
		"since negative":         signed(good(object{"since": -20})),
		"since a text":           signed(good(object{"since": "20"})),
		"since a fraction":       signed(strings.Replace(good(nil), `"since":20`, `"since":20.0`, 1)),
		"since an exponent":      signed(strings.Replace(good(nil), `"since":20`, `"since":2e1`, 1)),
		"no seq":                 signed(good(object{"seq": nil})),
		"seq back":               signed(good(object{"seq": 19, "entries": []object{}})),
		"seq too large":          signed(strings.Replace(good(nil), `"seq":25`, `"seq":9007199254740992`, 1)),
		"seq beyond 64 bits":     signed(strings.Replace(good(nil), `"seq":25`, `"seq":18446744073709551641`, 1)),
		"more of nothing":        signed(good(object{"seq": 20, "entries": []object{}, "more": true})),
		"more a number":          signed(good(object{"more": 1})),
		"more null":              signed(strings.Replace(good(nil), `"since":20`, `"more":null,"since":20`, 1)),
		"from 0, back":           signed(good(object{"since": 0, "seq": 19, "entries": []object{}})),
		"no entries":             signed(good(object{"entries": nil})),
		"entries null":           signed(strings.Replace(good(object{"entries": 1}), `"entries":1`, `"entries":null`, 1)),
		"entries object":         signed(good(object{"entries": object{}})),
		"entry a number":         signed(good(object{"entries": []int{1}})),
		"duplicate member":       signed(strings.Replace(good(nil), `"since":20`, `"since":20,"since":20`, 1)),
		"duplicate in an entry":  signed(strings.Replace(good(nil), `"jti":"x"`, `"jti":"x","jti":"y"`, 1)),
		"duplicate, escaped":     signed(strings.Replace(good(nil), `"jti":"x"`, `"jti":"x","\u006ati":"y"`, 1)),
		"something after":        signed(good(nil) + "{}"),
		"reordered":              signed(good(object{"entries": []object{entry(23), entry(22)}})),
		"the same number twice":  signed(good(object{"entries": []object{entry(23), entry(23)}})),
		"entry of before":        signed(good(object{"entries": []object{entry(20)}})),
		"entry of later":         signed(good(object{"entries": []object{entry(26)}})),
		"entry without number":   signed(good(object{"entries": []object{{"jti": "x"}}})),
		"unknown, out of order":  signed(good(object{"entries": []object{{"seq": 24, "region": "a"}, entry(23)}})),
		"role and session":       signed(good(object{"entries": []object{{"seq": 23, "role": "a", "session": "b"}}})),
		"session of a token":     signed(good(object{"entries": []object{entry(23).with(object{"session": "a"})}})),
		"session of a number":    signed(good(object{"entries": []object{{"seq": 23, "session": 7}}})),
		"role uid alone":         signed(good(object{"entries": []object{{"seq": 23, "role_uid": "u-1"}}})),
		"role uid of a service":  signed(good(object{"entries": []object{{"seq": 23, "service": "a", "role_uid": "u-1"}}})),
		"two selectors":          signed(good(object{"entries": []object{entry(23).with(object{"service": "a"})}})),
		"all and a selector":     signed(good(object{"entries": []object{entry(23).with(object{"all": true})}})),
		"subject alone":          signed(good(object{"entries": []object{{"seq": 23, "subject": "alice"}}})),
		"uid alone":              signed(good(object{"entries": []object{{"seq": 23, "service_uid": "u-1"}}})),
		"uid of a token":         signed(good(object{"entries": []object{entry(23).with(object{"service_uid": "u-1"})}})),
		"subject of a service":   signed(good(object{"entries": []object{{"seq": 23, "service": "a", "subject": "alice"}}})),
		"empty jti":              signed(good(object{"entries": []object{{"seq": 23, "jti": ""}}})),
		"empty subject":          signed(good(object{"entries": []object{{"seq": 23, "issuer": foreignURL, "subject": ""}}})),
		"jti a number":           signed(good(object{"entries": []object{{"seq": 23, "jti": 1}}})),
		"all a text":             signed(good(object{"entries": []object{{"seq": 23, "all": "true"}}})),
		"before negative":        signed(good(object{"entries": []object{entry(23).with(object{"before": -1})}})),
		"before a text":          signed(good(object{"entries": []object{entry(23).with(object{"before": "1"})}})),
		"exp null":               signed(strings.Replace(good(nil), `"jti":"x"`, `"jti":"x","exp":null`, 1)),
		"another epoch, not old": signed(good(object{"epoch": "e2", "since": 0, "seq": 3, "entries": []object{}, "fresh_at": now.UnixMilli()})),
	}
	for name, text := range tests {
		if err := f.sendText(text); err == nil {
			t.Fatalf("%s: taken", name)
		}
		if _, err := f.v.Verify(t.Context(), known); countersign.ReasonOf(err) != revoked {
			t.Fatalf("%s: what was in force is gone: %v", name, err)
		}
		if _, err := f.v.Verify(t.Context(), target); err != nil {
			t.Fatalf("%s: something of it is in force: %v", name, err)
		}
	}
	if err := f.sendText(signed(good(nil))); err != nil {
		t.Fatal(err)
	}
	f.want(known, revoked)
	f.want(target, revoked)
}

// TestRuleE1StateOfSeveralPages: nothing of it is in force before it is whole. It may be
func TestRuleE1StateOfSeveralPages(t *testing.T) {
	t.Parallel()
	f := newFeed(t, impatient)
	token, last := f.token(object{"jti": "a"}), f.token(object{"jti": "b"})
	f.want(token, countersign.ReasonRevocationUnknown)
	if err := f.send(f.page(0, 5, object{"seq": 1, "jti": "a"}).with(object{"more": true})); err != nil {
		t.Fatal(err)
	}
	f.want(token, countersign.ReasonRevocationUnknown)
	// A page from the middle of somewhere else starts it again.
	if err := f.send(f.page(4, 9)); err == nil {
		t.Error("a page that nobody asked for was taken")
	}
	if err := f.send(f.page(0, 5, object{"seq": 1, "jti": "a"}).with(object{"more": true})); err != nil {
		t.Fatal(err)
	}
	query, err := f.serve(f.answerWith(f.page(5, 9, object{"seq": 6, "jti": "b"})))
	if err != nil || query.Get("since") != "5" || query.Get("epoch") != "e1" || query.Get("wait") != "0s" {
		t.Fatalf("asked for %v: %v", query, err)
	}
	f.want(token, revoked)
	f.want(last, revoked)
	query, err = f.serve(f.answerWith(f.page(9, 9)))
	if err != nil || query.Get("since") != "9" || query.Get("epoch") != "e1" || query.Get("wait") != "25s" {
		t.Errorf("asked for %v: %v", query, err)
	}
}

// TestRuleE1EpochChange: the state is read anew, and until it is whole the old one holds.
func TestRuleE1EpochChange(t *testing.T) {
	t.Parallel()
	f := followed(t)
	old, fresh := f.token(object{"jti": "old"}), f.token(object{"jti": "new"})
	if err := f.send(f.page(10, 11, object{"seq": 11, "jti": "old"})); err != nil {
		t.Fatal(err)
	}
	epoch := object{"epoch": "e2"}
	f.advance(time.Second)
	if err := f.send(f.page(11, 12, object{"seq": 12, "jti": "new"}).with(epoch)); err == nil {
		t.Error("a number of one epoch went on in another")
	}
	f.want(old, revoked)
	f.wantGood(fresh)
	query, err := f.serve(f.answerWith(f.page(0, 3, object{"seq": 1, "jti": "new"}).with(epoch).with(object{"more": true})))
	if err != nil || query.Get("since") != "0" || query.Get("epoch") != "e2" {
		t.Fatalf("asked for %v: %v", query, err)
	}
	f.want(old, revoked)
	f.wantGood(fresh)
	if err := f.send(f.page(3, 4).with(epoch)); err != nil {
		t.Fatal(err)
	}
	f.wantGood(old)
	f.want(fresh, revoked)

	// The epoch that is over does not come back by pages of its time.
	if err := f.send(f.page(0, 11, object{"seq": 11, "jti": "old"}).with(object{"fresh_at": now.UnixMilli()})); err == nil {
		t.Error("a page of the epoch before was taken")
	}
	f.wantGood(old)
	f.want(fresh, revoked)
}

// TestRuleE1StateFromTheStartReplacesTheOld, in the same epoch, if it reaches as far.
func TestRuleE1StateFromTheStartReplacesTheOld(t *testing.T) {
	t.Parallel()
	f := followed(t)
	old, kept := f.token(object{"jti": "old"}), f.token(object{"jti": "kept"})
	if err := f.send(f.page(10, 12, object{"seq": 11, "jti": "old"}, object{"seq": 12, "jti": "kept"})); err != nil {
		t.Fatal(err)
	}
	if err := f.send(f.page(0, 11, object{"seq": 11, "jti": "old"})); err == nil {
		t.Error("a replica that lags behind took entries away")
	}
	f.want(kept, revoked)
	if err := f.send(f.page(0, 12, object{"seq": 12, "jti": "kept"})); err != nil {
		t.Fatal(err)
	}
	f.wantGood(old)
	f.want(kept, revoked)
}
