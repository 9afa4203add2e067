package verify_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/verify"
)

const unknown = countersign.ReasonRevocationUnknown

// TestRuleE4StaleFeedRefuses, and not earlier; the issuer's tokens alone.
func TestRuleE4StaleFeedRefuses(t *testing.T) {
	t.Parallel()
	for name, max := range map[string]time.Duration{"the default": 0, "a minute": time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := followed(t, func(_ *feed, cfg *verify.Config) { cfg.MaxStaleness = max })
			if max == 0 {
				max = 10 * time.Minute
			}
			cached, foreign := f.token(nil), mint(header(), userClaims().with(object{"exp": now.Unix() + 3600}))
			f.advance(max)
			f.wantGood(cached)
			f.advance(time.Millisecond)
			for range 3 {
				f.want(cached, unknown)
				f.want(f.token(object{"jti": "another"}), unknown)
			}
			f.wantGood(foreign)
			if err := f.send(f.page(10, 11, object{"seq": 11, "jti": "another"})); err != nil {
				t.Fatal(err)
			}
			f.wantGood(cached)
			f.want(f.token(object{"jti": "another"}), revoked)
		})
	}
}

// TestRuleE4StaleFeedStillRevokes: what was known to be revoked is not forgotten.
func TestRuleE4StaleFeedStillRevokes(t *testing.T) {
	t.Parallel()
	f := followed(t)
	if err := f.send(f.page(10, 12, object{"seq": 11, "jti": "x"}, object{"seq": 12, "issuer": foreignURL})); err != nil {
		t.Fatal(err)
	}
	f.advance(9 * time.Minute)
	f.want(f.token(object{"jti": "x"}), revoked)
	f.advance(9 * time.Minute)
	f.want(f.token(object{"jti": "x"}), unknown)
	f.want(mint(header(), userClaims().with(object{"exp": now.Unix() + 3600})), revoked)
}

// TestRuleE4FreshnessIsTheServers: a page is as fresh as it says, at most as of now, and
// one that was sent before makes nothing fresh.
func TestRuleE4FreshnessIsTheServers(t *testing.T) {
	t.Parallel()
	f := followed(t)
	token := f.token(nil)
	stale := func(page object) {
		t.Helper()
		if err := f.send(page); err != nil {
			t.Fatal(err)
		}
		f.advance(5 * time.Minute)
	}
	stale(f.page(10, 10)) // as fresh as the first
	stale(f.page(10, 10).with(object{"fresh_at": now.UnixMilli()}))
	f.wantGood(token) // exactly 10 minutes
	stale(f.page(10, 10).with(object{"fresh_at": now.UnixMilli() - 1000}))
	f.want(token, unknown)
	stale(f.page(10, 10).with(object{"fresh_at": now.UnixMilli() + 1}))
	f.want(token, unknown)
	stale(f.page(10, 10).with(object{"fresh_at": f.Now().UnixMilli() - 1000}))
	f.wantGood(token)
	// One that was sent before takes nothing away either.
	f.advance(-5 * time.Minute)
	if err := f.send(f.page(10, 10)); err != nil {
		t.Fatal(err)
	}
	at := f.Now()
	f.advance(time.Second)
	if err := f.send(f.page(10, 10).with(object{"fresh_at": at.UnixMilli() - 60_000})); err != nil {
		t.Fatal(err)
	}
	f.advance(10*time.Minute - time.Second)
	f.wantGood(token)
	stale(f.page(10, 10).with(object{"fresh_at": f.Now().UnixMilli() - 1000}))
	// A state that is not whole yet is not fresh, whatever its pages say.
	f.advance(5 * time.Minute)
	if err := f.send(f.page(10, 11).with(object{"more": true})); err != nil {
		t.Fatal(err)
	}
	f.want(token, unknown)
	if err := f.send(f.page(11, 12)); err != nil {
		t.Fatal(err)
	}
	f.wantGood(token)
	// A server whose clock is ahead does not stretch the time.
	f.advance(time.Second)
	if err := f.send(f.page(12, 12).with(object{"fresh_at": f.Now().Add(30 * time.Second).UnixMilli()})); err != nil {
		t.Fatal(err)
	}
	f.advance(10 * time.Minute)
	f.wantGood(token)
	f.advance(time.Second)
	f.want(token, unknown)
}

// TestRuleE4NoPageYet: a receiver without any state takes nothing from the issuer.
func TestRuleE4NoPageYet(t *testing.T) {
	t.Parallel()
	f := newFeed(t, impatient)
	for range 3 {
		f.want(f.token(nil), unknown)
	}
	_, err := f.serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	if err == nil {
		t.Error("503 was taken")
	}
	f.want(f.token(nil), unknown)
	if err := f.send(f.page(0, 10)); err != nil {
		t.Fatal(err)
	}
	f.wantGood(f.token(nil))
}

func TestRuleE4OldFirstPage(t *testing.T) {
	t.Parallel()
	f := newFeed(t, impatient)
	f.want(f.token(nil), unknown)
	if err := f.send(f.page(0, 10).with(object{"fresh_at": now.Add(-11 * time.Minute).UnixMilli()})); err != nil {
		t.Fatal(err)
	}
	f.want(f.token(nil), unknown)
}

// TestRuleE4AnswersThatAreNoPage keep the state and make nothing fresh.
func TestRuleE4AnswersThatAreNoPage(t *testing.T) {
	t.Parallel()
	f := followed(t)
	token := f.token(object{"jti": "x"})
	page := f.answerWith(f.page(10, 11, object{"seq": 11, "jti": "x"}))
	typed := func(mediaType string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			page(renamed{w, mediaType}, r)
		}
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		cause  error
	}{
		"304": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(304) }, nil},
		"204": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, nil},
		"400": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(400) }, nil},
		"404": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, nil},
		"503": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, nil},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, f.URL+"/elsewhere", http.StatusTemporaryRedirect)
		}, egress.ErrRedirect},
		"huge": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/revocations+jwt")
			_, _ = w.Write([]byte(strings.Repeat("A", 4<<20+1)))
		}, egress.ErrTooLarge},
		"cut": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/revocations+jwt")
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte("eyJ"))
		}, nil},
		"text":      {typed("text/plain"), nil},
		"jwt":       {typed("application/jwt"), nil},
		"two types": {typed("application/revocations+jwt, text/html"), nil},
	} {
		_, err := f.serve(test.answer)
		if err == nil || test.cause != nil && !errors.Is(err, test.cause) {
			t.Errorf("%s: %v, want %v", name, err, test.cause)
		}
		f.wantGood(token)
	}
	if _, err := f.serve(typed("application/revocations+jwt; charset=utf-8")); err != nil {
		t.Errorf("a parameter of the media type: %v", err)
	}
	f.want(token, revoked)
}

// TestFeedIsNeverAskedInAHotLoop: neither by answers that come at once nor by failures.
func TestFeedIsNeverAskedInAHotLoop(t *testing.T) {
	t.Parallel()
	f := followed(t)
	f.pauses = nil
	for range 20 {
		if err := f.send(f.page(10, 10)); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.pauses) != 20 {
		t.Errorf("%d pauses, want one after each answer", len(f.pauses))
	}
	for _, pause := range f.pauses {
		if pause != 200*time.Millisecond {
			t.Errorf("a pause of %v", pause)
		}
	}
	// One that was held is followed by the next request at once.
	if err := f.serveHeld(f.page(10, 11)); err != nil {
		t.Fatal(err)
	}
	f.pauses = nil
	if err := f.send(f.page(11, 12).with(object{"more": true})); err != nil || len(f.pauses) != 0 {
		t.Errorf("after an answer that was held: %v, %v", f.pauses, err)
	}
	if err := f.send(f.page(12, 13)); err != nil || len(f.pauses) != 0 {
		t.Errorf("where there is more: %v, %v", f.pauses, err)
	}
	for range 12 {
		_ = f.sendText("")
	}
	for i, pause := range f.pauses[1:] {
		want := min(200*time.Millisecond<<i, 5*time.Second)
		if pause < want/2 || pause > want {
			t.Errorf("after failure %d a pause of %v, want up to %v", i+1, pause, want)
		}
	}
	if err := f.send(f.page(13, 13)); err != nil {
		t.Fatal(err)
	}
	f.pauses = nil
	_ = f.sendText("")
	_ = f.sendText("")
	if got := f.pauses[len(f.pauses)-1]; got > 200*time.Millisecond {
		t.Errorf("the first failure after a success: a pause of %v", got)
	}
	// A server that begins anew each time is a failure too.
	f.pauses = nil
	for i := range 6 {
		page := f.page(0, 5, object{"seq": 1, "jti": "a"}).with(object{"more": true})
		if err := f.send(page); (err != nil) != (i > 0) {
			t.Errorf("page %d: %v", i, err)
		}
	}
	if len(f.pauses) < 5 {
		t.Errorf("pauses: %v", f.pauses)
	}
}

// TestFeedWaitFitsMaxStaleness: an answer comes before the one before is stale.
func TestFeedWaitFitsMaxStaleness(t *testing.T) {
	t.Parallel()
	f := followed(t, func(_ *feed, cfg *verify.Config) { cfg.MaxStaleness = 10 * time.Second })
	query, err := f.serve(f.answerWith(f.page(10, 10)))
	if err != nil || query.Get("wait") != "5s" {
		t.Errorf("asked for %v: %v", query, err)
	}
}

// longing has Verify wait for a page where the clock has jumped.
func longing(f *feed, _ *verify.Config) { f.longing = 10 * time.Second }

// TestRuleE4ClockThatJumps: a machine that has slept. The request that is held is given
// up, and the answer to the next one is waited for.
func TestRuleE4ClockThatJumps(t *testing.T) {
	t.Parallel()
	for name, paused := range map[string]bool{"while a request is held": false, "in a pause": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := followed(t, longing)
			if !paused {
				<-f.slept
				<-f.asked
			}
			f.advance(time.Hour)
			results := make(chan error, 10)
			for range cap(results) {
				go func() {
					_, err := f.v.Verify(t.Context(), f.token(nil))
					results <- err
				}()
			}
			query, err := f.serveHurried(f.answerWith(f.page(10, 11, object{"seq": 11, "jti": "x"})))
			if err != nil || query.Get("wait") != "0s" || query.Get("since") != "10" {
				t.Errorf("asked for %v: %v", query, err)
			}
			for range cap(results) {
				if err := <-results; err != nil {
					t.Error(err)
				}
			}
			f.want(f.token(object{"jti": "x"}), revoked)
			query, err = f.serve(f.answerWith(f.page(11, 11)))
			if err != nil || query.Get("wait") != "25s" {
				t.Errorf("asked for %v: %v", query, err)
			}
		})
	}
}

// TestRuleE4ClockThatJumpsInAnOutage: nobody waits for what has failed, nor for a page
// that is here and is stale.
func TestRuleE4ClockThatJumpsInAnOutage(t *testing.T) {
	t.Parallel()
	f := followed(t, longing)
	f.advance(time.Hour)
	result := make(chan error, 1)
	go func() {
		_, err := f.v.Verify(t.Context(), f.token(nil))
		result <- err
	}()
	if _, err := f.serveHurried(f.answerWith(object{})); err == nil {
		t.Error("nothing was taken for a page")
	}
	wantReason(t, <-result, unknown)
	go func() {
		_, err := f.v.Verify(t.Context(), f.token(nil))
		result <- err
	}()
	select {
	case err := <-result:
		wantReason(t, err, unknown)
	case <-f.asked:
		t.Fatal("what has failed was asked again")
	}
	if err := f.send(f.page(10, 10).with(object{"fresh_at": f.Now().Add(-11 * time.Minute).UnixMilli()})); err != nil {
		t.Fatal(err)
	}
	f.want(f.token(nil), unknown)
	if err := f.send(f.page(10, 10)); err != nil {
		t.Fatal(err)
	}
	f.wantGood(f.token(nil))

	// Who waits does so no longer than its context, nor than the verifier is open.
	f.advance(time.Hour)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Nanosecond)
		defer cancel()
		_, err := f.v.Verify(ctx, f.token(nil))
		result <- err
	}()
	if err := <-result; err == nil {
		t.Error("taken with a stale feed")
	}
	go func() {
		_, err := f.v.Verify(t.Context(), f.token(nil))
		result <- err
	}()
	query := <-f.asked
	if query.Get("wait") != "0s" {
		t.Errorf("asked for %v", query)
	}
	if err := f.v.Close(); err != nil {
		t.Error(err)
	}
	if err := <-result; err == nil {
		t.Error("taken with a stale feed")
	}
}

// TestFeedKeysRotate: a new key of the feed is looked for by its id, and one that is gone
// signs no more.
func TestFeedKeysRotate(t *testing.T) {
	t.Parallel()
	f := followed(t)
	next := ed25519.NewKeyFromSeed([]byte("the next key of the revocations."))
	sendBy := func(kid string, key ed25519.PrivateKey, page object) error {
		t.Helper()
		return f.sendText(mintRaw(feedHeader().with(object{"kid": kid}), must(json.Marshal(page)), key))
	}
	f.publishFeedKeys(jwk("feed-2", next.Public()))
	f.advance(time.Minute)
	if err := sendBy("feed-2", feedKey, f.page(10, 11)); err == nil {
		t.Error("the old key signed by the new one's name")
	}
	if err := sendBy("feed-2", next, f.page(10, 11)); err != nil {
		t.Errorf("a new key: %v", err)
	}
	if err := sendBy("feed-1", feedKey, f.page(11, 12)); err == nil {
		t.Error("a key that is gone signed")
	}
	f.publishFeedKeys(jwk("feed-2", ecKey.Public()))
	f.advance(10 * time.Minute)
	if err := sendBy("feed-2", next, f.page(11, 12)); err == nil {
		t.Error("a key of another kind")
	}
}
