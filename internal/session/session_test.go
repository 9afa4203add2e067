package session_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
)

// RULES D5: what is opened is what was minted, of every kind of proof.
func TestRuleD5OpenIsTheInverseOfMint(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	aws := session.Session{
		Role: "writer", RoleUID: "u", Name: "i-0123", Kind: session.AWS, Issuer: "arn:aws:iam::111122223333:root",
		Subject: "arn:aws:sts::111122223333:assumed-role/app", AWSAccount: "111122223333", Fingerprint: "f",
		IssuedAt: start, ExpiresAt: start.Add(session.MaxDuration),
	}
	service := session.Session{
		Role: "writer", RoleUID: "u", Name: "document-service", Kind: session.Service, Issuer: "https://sts.example.com",
		Subject: "document-service", Service: "document-service", ServiceUID: "u-1", Fingerprint: "f",
		IssuedAt: start.Add(900 * time.Millisecond), ExpiresAt: start.Add(15*time.Minute + 999*time.Millisecond),
	}
	seen := make(map[string]bool)
	for _, in := range []session.Session{whole(), aws, service} {
		c, minted := r.mint(t, in)
		if !session.ValidAccessKeyID(c.AccessKeyID) || len(c.AccessKeyID) != 20 || len(c.SecretAccessKey.Reveal()) != 40 ||
			!c.ExpiresAt.Equal(minted.ExpiresAt) || len(c.SessionToken.Reveal()) > session.MaxTokenBytes {
			t.Errorf("credentials %+v, token of %d bytes", c, len(c.SessionToken.Reveal()))
		}
		want := in
		want.IssuedAt, want.ExpiresAt = in.IssuedAt.Truncate(time.Second), in.ExpiresAt.Truncate(time.Second)
		want.AccessKeyID, want.SealedBy = c.AccessKeyID, minted.SealedBy
		if diff := cmp.Diff(want, minted); diff != "" || minted.SealedBy == "" {
			t.Errorf("minted (-want +got): %s", diff)
		}
		opened, secret, err := r.Open(c.AccessKeyID, c.SessionToken)
		if err != nil || !secret.Equal(c.SecretAccessKey) {
			t.Fatalf("Open: %v, the same secret: %t", err, secret.Equal(c.SecretAccessKey))
		}
		if diff := cmp.Diff(minted, opened); diff != "" {
			t.Errorf("opened (-want +got): %s", diff)
		}
		for _, text := range []string{c.AccessKeyID, c.SecretAccessKey.Reveal(), c.SessionToken.Reveal()} {
			if seen[text] {
				t.Error("drawn twice")
			}
			seen[text] = true
		}
	}
	// The same session twice: nothing is the same.
	one, _ := r.mint(t, whole())
	two, _ := r.mint(t, whole())
	if one.AccessKeyID == two.AccessKeyID || one.SecretAccessKey.Equal(two.SecretAccessKey) || one.SessionToken.Equal(two.SessionToken) {
		t.Error("two sessions share something")
	}
}

// RULES D5: a token is bound to its access key id and its deployment, and an id of another
// kind is refused by its prefix.
func TestRuleD5ATokenIsBound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c, _ := r.mint(t, whole())
	other, _ := r.mint(t, whole())
	token := c.SessionToken.Reveal()
	for name, id := range map[string]string{
		"another session's": other.AccessKeyID,
		"a long-lived key":  "AKIA" + c.AccessKeyID[4:],
		"lower case":        strings.ToLower(c.AccessKeyID),
		"other alphabet":    c.AccessKeyID[:19] + "1",
		"too short":         c.AccessKeyID[:19],
		"too long":          c.AccessKeyID + "A",
		"a space":           c.AccessKeyID + " ",
		"empty":             "",
		"prefix":            "ASIA",
	} {
		r.refused(t, name, id, token, countersign.BadToken)
	}
	r.refused(t, "no token", c.AccessKeyID, "", countersign.BadToken)
	elsewhere := *r
	elsewhere.Sealer = session.New(session.Config{Keys: r.ring, DeploymentID: "test2", Now: r.clock.Now})
	elsewhere.refused(t, "another deployment", c.AccessKeyID, token, countersign.BadToken)
	stranger := newRig(t)
	stranger.refused(t, "other keys", c.AccessKeyID, token, countersign.BadToken)
}

// RULES C3: there is no tolerance on the end of a session.
func TestRuleC3SessionsEndOnTheSecond(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := whole()
	in.ExpiresAt = start.Add(time.Hour + 500*time.Millisecond)
	c, _ := r.mint(t, in)
	open := func() error {
		_, _, err := r.Open(c.AccessKeyID, c.SessionToken)
		return err
	}
	for _, at := range []struct {
		now  time.Time
		code countersign.Code
	}{
		{start.Add(-2 * time.Second), ""}, // a replica's clock that is a little behind
		{start.Add(-2*time.Second - 1), countersign.BadToken},
		{start.Add(time.Hour - 1), ""},
		{start.Add(time.Hour), countersign.Expired},
		{start.Add(time.Hour + time.Second), countersign.Expired},
		{start.Add(24 * time.Hour), countersign.Expired},
	} {
		r.clock.Set(at.now)
		if err := open(); countersign.CodeOf(err) != at.code {
			t.Errorf("at %s: %v, want %q", at.now, err, at.code)
		}
	}
}

// RULES D5: sealing keys rotate, and no session ends by it; a dropped key ends its own.
func TestRuleD5RotationEndsNoSession(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := whole()
	in.ExpiresAt = in.IssuedAt.Add(session.MaxDuration)
	first, minted := r.mint(t, in)
	r.change(t, func(ctx context.Context, tx store.Tx) error {
		_, err := r.ring.RotateIn(ctx, tx, keys.Sealing)
		return err
	})
	r.clock.Advance(time.Hour)
	in.IssuedAt, in.ExpiresAt = r.clock.Now(), r.clock.Now().Add(time.Hour)
	second, after := r.mint(t, in)
	if after.SealedBy == minted.SealedBy {
		t.Fatal("the old key seals still")
	}
	for range 2 {
		if _, _, err := r.Open(first.AccessKeyID, first.SessionToken); err != nil {
			t.Errorf("a session from before the rotation: %v", err)
		}
		// To its last second.
		r.clock.Set(start.Add(session.MaxDuration - time.Second))
	}
	r.clock.Set(start.Add(time.Hour))
	r.change(t, func(ctx context.Context, tx store.Tx) error {
		_, _, err := r.ring.CompromiseIn(ctx, tx, minted.SealedBy)
		return err
	})
	r.refused(t, "of the dropped key", first.AccessKeyID, first.SessionToken.Reveal(), countersign.BadToken)
	if _, _, err := r.Open(second.AccessKeyID, second.SessionToken); err != nil {
		t.Errorf("of the other key: %v", err)
	}
}

// RULES D5: 2 KiB and not a byte more, and nothing is cut.
func TestRuleD5TooLargeIsRefusedNotCut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	in := whole()
	size := func(policy int) (int, error) {
		in.Policy = strings.Repeat("p", policy)
		c, _, err := r.Mint(in)
		if err != nil {
			return 0, err
		}
		opened, _, err := r.Open(c.AccessKeyID, c.SessionToken)
		if err != nil || opened.Policy != in.Policy {
			t.Fatalf("a policy of %d bytes came back with %d: %v", policy, len(opened.Policy), err)
		}
		return len(c.SessionToken.Reveal()), nil
	}
	most, last := 0, 0
	for n := 1; n < 2000; n++ {
		got, err := size(n)
		if err != nil {
			if !errors.Is(err, countersign.TooLarge) {
				t.Fatalf("%d bytes: %v", n, err)
			}
			last = n
			break
		}
		most = got
	}
	if most != session.MaxTokenBytes || last == 0 {
		t.Errorf("the largest token has %d bytes, a policy of %d is too large", most, last)
	}
	for _, n := range []int{last, last + 1, 10_000, 1 << 20} {
		if _, err := size(n); !errors.Is(err, countersign.TooLarge) {
			t.Errorf("a policy of %d bytes: %v", n, err)
		}
	}
	in = whole()
	in.Tags = make(map[string]string)
	for i := range 65 {
		in.Tags[fmt.Sprint(i)] = ""
	}
	if _, _, err := r.Mint(in); !errors.Is(err, countersign.TooLarge) {
		t.Errorf("65 tags: %v", err)
	}
}

// A session that lacks what revocations and roles go by is never sealed.
func TestMintRefusesWhatIsNotWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, spoil := range map[string]func(*session.Session){
		"no role":         func(s *session.Session) { s.Role = "" },
		"no role uid":     func(s *session.Session) { s.RoleUID = "" },
		"no name":         func(s *session.Session) { s.Name = "" },
		"no kind":         func(s *session.Session) { s.Kind = "" },
		"other kind":      func(s *session.Session) { s.Kind = "saml" },
		"no issuer":       func(s *session.Session) { s.Issuer = "" },
		"no subject":      func(s *session.Session) { s.Subject = "" },
		"no issuer uid":   func(s *session.Session) { s.IssuerUID = "" },
		"no fingerprint":  func(s *session.Session) { s.Fingerprint = "" },
		"account of oidc": func(s *session.Session) { s.AWSAccount = "111122223333" },
		"issuer of aws":   func(s *session.Session) { s.Kind, s.AWSAccount = session.AWS, "111122223333" },
		"service, no uid": func(s *session.Session) { s.Kind, s.IssuerUID, s.ServiceUID = session.Service, "", "" },
		"no start":        func(s *session.Session) { s.IssuedAt = time.Time{} },
		"no end":          func(s *session.Session) { s.ExpiresAt = time.Time{} },
		"no life":         func(s *session.Session) { s.ExpiresAt = s.IssuedAt },
		"backwards":       func(s *session.Session) { s.ExpiresAt = s.IssuedAt.Add(-time.Second) },
		"over 12 hours":   func(s *session.Session) { s.ExpiresAt = s.IssuedAt.Add(session.MaxDuration + time.Second) },
		"not UTF-8":       func(s *session.Session) { s.Subject = "\xff" },
		"tag not UTF-8":   func(s *session.Session) { s.Tags = map[string]string{"a": "\xff"} },
		"tag, no name":    func(s *session.Session) { s.Tags = map[string]string{"": "a"} },
	} {
		in := whole()
		in.Values, in.Tags = maps.Clone(in.Values), maps.Clone(in.Tags)
		spoil(&in)
		c, _, err := r.Mint(in)
		if !errors.Is(err, countersign.Internal) || !c.SessionToken.IsZero() || !c.SecretAccessKey.IsZero() {
			t.Errorf("%s: %v, want internal", name, err)
		}
	}
}

func TestMintWithoutAKeyIsUnavailable(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.clock.Set(start.Add(100 * 24 * time.Hour)) // nobody maintained them
	in := whole()
	in.IssuedAt, in.ExpiresAt = r.clock.Now(), r.clock.Now().Add(time.Hour)
	if _, _, err := r.Mint(in); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("got %v", err)
	}
}

func TestNewRefusesAnUnboundSealer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, cfg := range map[string]session.Config{"no keys": {DeploymentID: "d"}, "no deployment": {Keys: r.ring}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: it was made", name)
				}
			}()
			session.New(cfg)
		}()
	}
}

// What is printed of credentials, or of an error, has no secret in it.
func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c, _ := r.mint(t, whole())
	_, secret, err := r.Open(c.AccessKeyID, countersign.NewSecret(c.SessionToken.Reveal()+"A"))
	text := fmt.Sprintf("%v %+v %#v %v %v %+v %#v", c, c, c, secret, err, err, r.Sealer)
	for _, canary := range []string{c.SecretAccessKey.Reveal(), c.SessionToken.Reveal()[:40]} {
		if strings.Contains(text, canary) {
			t.Errorf("it shows: %s", text)
		}
	}
}
