package oauth_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/verify"
)

const feedPath = "/oauth2/revocations"

// feed asks for a page and checks its signature with the feed's own keys.
func (f *rig) feed(tb testing.TB, query string) verify.FeedPage {
	tb.Helper()
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, local(http.MethodGet, feedPath+query))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != verify.FeedMediaType || w.Header().Get("Cache-Control") != "no-store" {
		tb.Fatalf("%s: %d %v %s", query, w.Code, w.Header(), w.Body)
	}
	return f.openPage(tb, w.Body.String(), "/oauth2/revocations/jwks.json")
}

func local(method, target string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "127.0.0.1:8440"
	return r
}

func (f *rig) openPage(tb testing.TB, text, keysPath string) verify.FeedPage {
	tb.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(f.do(tb, call{method: http.MethodGet, path: keysPath}).text), &set); err != nil {
		tb.Fatal(err)
	}
	signed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		tb.Fatal(err)
	}
	if typ := signed.Signatures[0].Header.ExtraHeaders["typ"]; typ != verify.FeedTokenType {
		tb.Fatalf("typ %v", typ)
	}
	payload, err := signed.Verify(set)
	if err != nil {
		tb.Fatalf("verify with %s: %v", keysPath, err)
	}
	var page verify.FeedPage
	if err := json.Unmarshal(payload, &page); err != nil {
		tb.Fatal(err)
	}
	return page
}

func TestRuleE1OneSignedFeed(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	f.story(t)
	ctx := t.Context()
	page := f.feed(t, "")
	if page.Issuer != issuer || page.Epoch != "e1" || page.Since != 0 || page.More || page.Entries == nil || len(page.Entries) != 0 {
		t.Fatalf("the first page: %+v", page)
	}
	now := f.Clock.Now()
	for _, revoke := range []func() error{
		func() error {
			return f.admin.RevokeToken(ctx, root, admin.Token{ID: "one", ExpiresAt: now.Add(time.Minute)})
		},
		func() error { return f.admin.RevokeService(ctx, root, "document-service") },
		func() error {
			return f.admin.Revoke(ctx, root, admin.RevokeSelector{Issuer: "https://idp.example.com", Subject: "alice"})
		},
		func() error { return f.admin.Revoke(ctx, root, admin.RevokeSelector{All: true}) },
		func() error { return f.admin.Revoke(ctx, root, admin.RevokeSelector{Session: "ASIAQZ3R5T7B2X4W6Y2A"}) },
		func() error {
			_, err := f.admin.RevokeHere(ctx, root, admin.HereSelector{RevokeSelector: admin.RevokeSelector{Role: "writer"}})
			return err
		},
	} {
		if err := revoke(); err != nil {
			t.Fatal(err)
		}
	}
	page = f.feed(t, "?since=0&epoch=e1")
	want := []verify.Revocation{{JTI: "one"}, {Service: "document-service"}, {Issuer: "https://idp.example.com", Subject: "alice"}, {All: true},
		{Session: "ASIAQZ3R5T7B2X4W6Y2A"}, {Role: "writer"}}
	times := cmpopts.IgnoreFields(verify.Revocation{}, "Seq", "Before", "Expires", "ServiceUID")
	if diff := cmp.Diff(want, page.Entries, times); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
	for i, entry := range page.Entries {
		if i > 0 && entry.Seq <= page.Entries[i-1].Seq || entry.Seq > page.Seq || entry.Expires <= now.Unix() {
			t.Errorf("entry %d: %+v of a page up to %d", i, entry, page.Seq)
		}
	}
	if page.Entries[1].ServiceUID == "" || page.Entries[1].Before != now.UnixMilli() || page.Entries[0].Before != 0 {
		t.Errorf("entries: %+v", page.Entries[:2])
	}
	// From the middle on; and a number that means nothing here begins anew.
	second := page.Entries[1].Seq
	if got := f.feed(t, "?epoch=e1&since="+text(second)); len(got.Entries) != 4 || got.Since != second {
		t.Errorf("from %d: %+v", second, got)
	}
	for _, query := range []string{"?epoch=other&since=" + text(second), "?since=" + text(second)} {
		if got := f.feed(t, query); len(got.Entries) != 6 || got.Since != 0 {
			t.Errorf("%s: %+v", query, got)
		}
	}
}

func text(n int64) string { body, _ := json.Marshal(n); return string(body) }

// RULES B7: the feed's keys sign the feed, and nothing else.
func TestRuleB7FeedHasItsOwnKeys(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	kids := make(map[string]string)
	for _, path := range []string{"/.well-known/jwks.json", "/oauth2/revocations/jwks.json", "/oauth2/policies/jwks.json"} {
		var set jose.JSONWebKeySet
		if err := json.Unmarshal([]byte(f.do(t, call{method: http.MethodGet, path: path}).text), &set); err != nil || len(set.Keys) == 0 {
			t.Fatalf("%s: %v", path, err)
		}
		for _, key := range set.Keys {
			if other := kids[key.KeyID]; other != "" || !key.IsPublic() {
				t.Errorf("a key is in %s and in %s", other, path)
			}
			kids[key.KeyID] = path
		}
	}
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, local(http.MethodGet, feedPath))
	head, _, _ := strings.Cut(w.Body.String(), ".")
	decoded, err := base64.RawURLEncoding.DecodeString(head)
	var header struct{ KID, Alg string }
	if err != nil || json.Unmarshal(decoded, &header) != nil || header.Alg != "EdDSA" || kids[header.KID] != "/oauth2/revocations/jwks.json" {
		t.Errorf("signed by %+v (%v)", header, err)
	}
}

func TestFeedRefusesBadQueries(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	for query, reason := range map[string]string{
		"?since=-1": "parameter_invalid", "?since=x": "parameter_invalid", "?since=": "parameter_invalid", "?since=1.5": "parameter_invalid",
		"?since=99999999999999999999": "parameter_invalid", "?since=1&since=1": "parameter_duplicated", "?wait=25": "parameter_invalid",
		"?wait=-1s": "parameter_invalid", "?wait=1s&wait=1s": "parameter_duplicated", "?epoch=" + strings.Repeat("e", 129): "parameter_invalid",
		"?until=1": "field_unknown", "?since=%zz": "parameter_invalid", "?Since=1": "field_unknown",
	} {
		a := f.do(t, call{method: http.MethodGet, path: feedPath + query})
		if a.status != http.StatusBadRequest || a.word("error") != "invalid_request" {
			t.Errorf("%s: %d %s, want 400 (%s)", query, a.status, a.text, reason)
		}
	}
	if a := f.do(t, call{path: feedPath}); a.status != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", a.status)
	}
}

func TestFeedETag(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, local(http.MethodGet, feedPath))
	etag := w.Header().Get("ETag")
	get := func() int {
		r := local(http.MethodGet, feedPath)
		r.Header.Set("If-None-Match", etag)
		w := httptest.NewRecorder()
		f.handler.ServeHTTP(w, r)
		return w.Code
	}
	if status := get(); status != http.StatusNotModified {
		t.Errorf("nothing new: %d", status)
	}
	if err := f.admin.RevokeToken(t.Context(), root, admin.Token{ID: "one", ExpiresAt: f.Clock.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	if status := get(); status != http.StatusOK {
		t.Errorf("something new: %d", status)
	}
}

// waitingFeed asks over a real connection, and returns when the request is held.
func (f *rig) waitingFeed(t *testing.T, query string) <-chan string {
	t.Helper()
	server := httptest.NewServer(f.handler)
	t.Cleanup(server.Close)
	answered := make(chan string, 1)
	before := f.door.Followers()
	go func() {
		response, err := server.Client().Get(server.URL + feedPath + query)
		if err != nil {
			answered <- err.Error()
			return
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		answered <- string(body)
	}()
	for f.door.Followers() == before {
		select {
		case body := <-answered:
			t.Fatalf("answered at once: %s", body)
		default:
			runtime.Gosched()
		}
	}
	return answered
}

func TestFeedWaitsForNews(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	head := f.feed(t, "").Seq
	answered := f.waitingFeed(t, "?epoch=e1&wait=25s&since="+text(head))
	if err := f.admin.RevokeToken(t.Context(), root, admin.Token{ID: "one", ExpiresAt: f.Clock.Now().Add(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	page := f.openPage(t, <-answered, "/oauth2/revocations/jwks.json")
	if len(page.Entries) != 1 || page.Entries[0].JTI != "one" || page.Since != head {
		t.Errorf("the page: %+v", page)
	}
}

// A server that stops lets its followers go.
func TestFeedIsReleased(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	answered := f.waitingFeed(t, "?epoch=e1&wait=25s&since="+text(f.feed(t, "").Seq))
	f.door.Release()
	if page := f.openPage(t, <-answered, "/oauth2/revocations/jwks.json"); len(page.Entries) != 0 {
		t.Errorf("the page: %+v", page)
	}
	// And holds none any more.
	f.feed(t, "?epoch=e1&wait=25s&since="+text(f.feed(t, "").Seq))
}

// Those beyond the bound are answered at once: they can't take the server's places.
func TestFeedBoundsItsFollowers(t *testing.T) {
	t.Parallel()
	f := newRig(t)
	head := f.feed(t, "").Seq
	f.door.HoldFollowers()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	w := httptest.NewRecorder()
	f.handler.ServeHTTP(w, local(http.MethodGet, feedPath+"?epoch=e1&wait=25s&since="+text(head)).WithContext(ctx))
	if w.Code != http.StatusOK || ctx.Err() != nil {
		t.Errorf("got %d, %v", w.Code, ctx.Err())
	}
}
