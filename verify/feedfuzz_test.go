package verify_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/verify"
)

// FuzzFeedPage: a page that we take is one that encoding/json reads the same way, its
// numbers are in order, and each of its entries is about one thing.
func FuzzFeedPage(f *testing.F) {
	const head = `{"iss":"https://a","iat":1,"epoch":"e","since":1,"seq":9,"fresh_at":2,`
	for _, seed := range []string{
		head + `"entries":[]}`, head + `"entries":[],"more":true}`,
		head + `"entries":[{"seq":2,"jti":"a"},{"seq":3,"service":"b","service_uid":"c","before":5,"exp":6}]}`,
		head + `"entries":[{"seq":2,"issuer":"a","subject":"b"},{"seq":4,"kid":"k"},{"seq":9,"all":true},{"seq":10,"all":true}]}`,
		head + `"entries":[{"seq":2,"region":"a"},{"seq":3,"jti":"a","kid":"b"}]}`,
		head + `"entries":[{"seq":2,"role":"a","role_uid":"b","before":1},{"seq":3,"session":"c"},{"seq":4,"role_uid":"b"}]}`,
		head + `"entries":[{"seq":2,"jti":"\u0061\ud83d\ude00"}],"entries":[]}`,
		head + `"entries":[{"seq":02,"jti":"a"}]}`, head + `"entries":null}`, `{}`, `[]`, ``,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		page, err := verify.ParseFeedPage(text)
		if err != nil {
			return
		}
		// Names are compared byte by byte here; encoding/json would also take ISS for iss.
		var exact map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &exact); err != nil {
			t.Fatalf("we take %q, encoding/json: %v", text, err)
		}
		var entries []map[string]json.RawMessage
		if err := json.Unmarshal(exact["entries"], &entries); err != nil {
			t.Fatalf("entries of %q: %v", text, err)
		}
		last, taken := page.Since, 0
		for _, entry := range entries {
			var want verify.Revocation
			read(t, entry, "seq", &want.Seq)
			read(t, entry, "jti", &want.JTI)
			read(t, entry, "service", &want.Service)
			read(t, entry, "service_uid", &want.ServiceUID)
			read(t, entry, "issuer", &want.Issuer)
			read(t, entry, "subject", &want.Subject)
			read(t, entry, "kid", &want.KID)
			read(t, entry, "all", &want.All)
			read(t, entry, "role", &want.Role)
			read(t, entry, "role_uid", &want.RoleUID)
			read(t, entry, "session", &want.Session)
			read(t, entry, "before", &want.Before)
			read(t, entry, "exp", &want.Expires)
			if want.Seq <= last || want.Seq > page.Seq {
				t.Errorf("%q: entry %d after %d", text, want.Seq, last)
			}
			last = want.Seq
			selectors := 0
			for _, set := range []bool{
				want.JTI != "", want.Service != "", want.Issuer != "", want.KID != "", want.All, want.Role != "", want.Session != "",
			} {
				if set {
					selectors++
				}
			}
			if selectors == 0 {
				continue
			}
			if selectors > 1 || taken == len(page.Entries) {
				t.Fatalf("%q: entries %+v, %d selectors", text, page.Entries, selectors)
			}
			if diff := cmp.Diff(want, page.Entries[taken]); diff != "" {
				t.Errorf("%q: %s", text, diff)
			}
			taken++
		}
		if taken != len(page.Entries) || page.Issuer == "" || page.Epoch == "" || page.Since < 0 || page.Seq < page.Since {
			t.Errorf("%q: %+v", text, page)
		}
	})
}

// read reads a member with encoding/json, if it is there.
func read(t *testing.T, members map[string]json.RawMessage, name string, value any) {
	t.Helper()
	if raw, ok := members[name]; ok {
		if err := json.Unmarshal(raw, value); err != nil {
			t.Errorf("member %s, %s: %v", name, raw, err)
		}
	}
}
