package keys_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

func sealing(tb testing.TB, r *keys.Ring) (kid string, key []byte) {
	tb.Helper()
	kid, key, err := r.CurrentSealingKey()
	if err != nil || len(key) != 32 {
		tb.Fatalf("CurrentSealingKey: %d bytes, %v", len(key), err)
	}
	return kid, key
}

func TestSealingKeysAreTheSameOnEveryReplica(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	a, b := open(t, cfg), open(t, cfg)
	kid, key := sealing(t, a)
	if other, its := sealing(t, b); other != kid || !bytes.Equal(its, key) {
		t.Errorf("%s seals here and %s there", kid, other)
	}
	if found, ok := b.SealingKey(kid); !ok || !bytes.Equal(found, key) {
		t.Error("a replica can't open what another sealed")
	}
	if raw, err := base64.RawURLEncoding.DecodeString(kid); err != nil || len(raw) != keys.SealingKIDBytes {
		t.Errorf("the id %s: %v", kid, err)
	}
	for _, unknown := range []string{"", kid + "A", kid[:15], signer(t, a, keys.Token).KID} {
		if _, ok := a.SealingKey(unknown); ok {
			t.Errorf("there is a key %q", unknown)
		}
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", a.List(), a.List(), a), base64.RawURLEncoding.EncodeToString(key)[:10]) {
		t.Error("a list shows the key")
	}
}

// RULES B7: a sealing key signs nothing and is in no key set.
func TestRuleB7SealingKeysAreNeverPublished(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	ring := open(t, cfg)
	kid, key := sealing(t, ring)
	if s, err := ring.Signer(keys.Sealing); !errors.Is(err, countersign.Unavailable) || s != nil {
		t.Errorf("Signer: %v", err)
	}
	if _, _, ok := ring.PublicKey(kid); ok {
		t.Error("PublicKey has it")
	}
	body, _ := ring.JWKS()
	for _, p := range append([]keys.Purpose{keys.Sealing, keys.Broker}, all...) {
		set, _ := ring.KeySet(p)
		body = append(body, set...)
	}
	for name, text := range map[string]string{"id": kid, "key": base64.RawURLEncoding.EncodeToString(key), "kty": `"oct"`} {
		if strings.Contains(string(body), text) {
			t.Errorf("a key set has its %s", name)
		}
	}
	rows, err := cfg.Store.SigningKeys(t.Context(), string(keys.Sealing))
	if err != nil || len(rows) != 2 || bytes.Contains(rows[0].Sealed, key) || len(rows[0].Public) != 0 || rows[0].Algorithm != "HKDF-A256GCM" {
		t.Errorf("rows %+v, %v", rows, err)
	}
}

// RULES B6: a sealing key opens sessions until the last one has ended, and is a whole period
// old when it seals its first.
func TestRuleB6SealingKeysOutliveTheirSessions(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	cfg.RotationPeriod = day
	rings := []*keys.Ring{open(t, cfg), open(t, cfg)}
	lastUse := make(map[string]time.Time)
	for i := 0; c.Now().Before(start.Add(4 * day)); i++ {
		maintain(t, cfg, rings[i%2])
		for _, r := range rings {
			if err := r.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		kid, _ := sealing(t, rings[i%2])
		lastUse[kid] = c.Now()
		for old, at := range lastUse {
			_, ok := rings[(i+1)%2].SealingKey(old)
			if age := c.Now().Sub(at); age < keys.MaxSessionDuration && !ok {
				t.Fatalf("%s is gone %v after it sealed", old, age)
			} else if ok && age > keys.MaxSessionDuration+time.Hour {
				t.Fatalf("%s opens %v after it sealed", old, age)
			}
		}
		c.Advance(30 * time.Minute)
	}
	if len(lastUse) != 4 {
		t.Errorf("%d keys in four periods", len(lastUse))
	}
}

// RULES B6, D5: a compromised sealing key opens nothing any more, on every replica, and
// another one seals at once.
func TestRuleB6CompromisedSealingKey(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	ring, other := open(t, cfg), open(t, cfg)
	kid, _ := sealing(t, ring)
	inTx(t, cfg, ring, func(ctx context.Context, tx store.Tx) ([]store.SigningKey, error) {
		dropped, made, err := ring.CompromiseIn(ctx, tx, kid)
		if dropped.Purpose != string(keys.Sealing) || len(dropped.Sealed) != 0 || len(made) != 1 {
			t.Errorf("dropped %+v, made %d", dropped, len(made))
		}
		return made, err
	})
	if err := other.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, r := range []*keys.Ring{ring, other, open(t, cfg)} {
		if _, ok := r.SealingKey(kid); ok {
			t.Error("it opens sessions")
		}
		if now, _ := sealing(t, r); now == kid {
			t.Error("it seals")
		}
	}
}

// RULES B8: a row that was moved, swapped or written anew does not open.
func TestRuleB8ForgedSealingRows(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	open(t, cfg)
	rows, err := cfg.Store.SigningKeys(t.Context(), string(keys.Sealing))
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := cfg.Store.SigningKeys(t.Context(), string(keys.Token))
	if err != nil {
		t.Fatal(err)
	}
	seal := func(kid string, plain []byte) store.SigningKey {
		row := rows[0]
		row.KID = kid
		if row.Sealed, err = cfg.Master.Seal(row.Purpose, kid, cfg.DeploymentID, plain); err != nil {
			t.Fatal(err)
		}
		return row
	}
	swapped, algorithm, moved := rows[0], rows[0], rows[0]
	swapped.Sealed = rows[1].Sealed
	algorithm.Algorithm = "EdDSA"
	moved.Purpose = string(keys.Token)
	for name, forged := range map[string]map[keys.Purpose][]store.SigningKey{
		"the key of another row": {keys.Sealing: {swapped}},
		"another algorithm":      {keys.Sealing: {algorithm}},
		"moved to tokens":        {keys.Token: {moved}},
		"a token's key":          {keys.Sealing: {tokens[0]}},
		"another key":            {keys.Sealing: {seal(rows[0].KID, make([]byte, 32))}},
		"too short":              {keys.Sealing: {seal(rows[0].KID, make([]byte, 16))}},
		"nothing":                {keys.Sealing: {seal(rows[0].KID, nil)}},
	} {
		if _, err := keys.Open(t.Context(), withRows(cfg, forged)); !errors.Is(err, countersign.Invalid) {
			t.Errorf("%s: %v, want invalid", name, err)
		}
	}
}

// Nobody waits for an RSA key before one is needed: a start makes none, and the first that
// is asked for makes one due.
func TestBrokerKeysAreMadeWhenTheyAreNeeded(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	ring := open(t, cfg)
	count := func() int {
		t.Helper()
		rows, err := cfg.Store.SigningKeys(t.Context(), string(keys.Broker))
		if err != nil {
			t.Fatal(err)
		}
		return len(rows)
	}
	if maintain(t, cfg, ring); count() != 0 || ring.Due() {
		t.Fatalf("%d keys at the start, due %t", count(), ring.Due())
	}
	if _, err := ring.Signer(keys.Broker); !errors.Is(err, countersign.Unavailable) || !ring.Due() {
		t.Fatalf("the first Signer: %v, due %t", err, ring.Due())
	}
	if made := maintain(t, cfg, ring); len(made) != 2 || made[0].Algorithm != "RS256" || count() != 2 {
		t.Fatalf("made %+v", made)
	}
	first := signer(t, ring, keys.Broker)
	if first.Algorithm != "RS256" {
		t.Errorf("it signs with %s", first.Algorithm)
	}
	// Another process has it too, and goes on with it by itself when its time comes.
	other := open(t, cfg)
	if signer(t, other, keys.Broker).KID != first.KID || other.Due() || len(other.Created()) != 0 {
		t.Error("another replica makes its own")
	}
	c.Advance(period + time.Minute)
	if again := open(t, cfg); !again.Due() { // the others' keys were made by the start
		t.Error("a start makes RSA keys")
	}
	maintain(t, cfg, other)
	if next := signer(t, other, keys.Broker); next.KID == first.KID || count() != 3 {
		t.Errorf("after a period %d keys, %s signs", count(), next.KID)
	}
	c.Advance(10 * period) // nobody used it, nobody maintained it
	if maintain(t, cfg, open(t, cfg)); count() != 3 {
		t.Error("keys that nobody asks for go on")
	}
}

func TestCompromisedBrokerKeyIsReplaced(t *testing.T) {
	t.Parallel()
	cfg, _ := newConfig(t)
	ring := open(t, cfg)
	_, _ = ring.Signer(keys.Broker)
	maintain(t, cfg, ring)
	kid := signer(t, ring, keys.Broker).KID
	again := open(t, cfg) // it was not asked there
	inTx(t, cfg, again, func(ctx context.Context, tx store.Tx) ([]store.SigningKey, error) {
		_, made, err := again.CompromiseIn(ctx, tx, kid)
		return made, err
	})
	if now := signer(t, again, keys.Broker).KID; now == kid || inMain(t, again)[kid] || !inMain(t, again)[now] {
		t.Errorf("%s signs, %s was dropped", now, kid)
	}
}

func inMain(t *testing.T, ring *keys.Ring) map[string]bool {
	t.Helper()
	var set jose.JSONWebKeySet
	body, _ := ring.JWKS()
	if err := json.Unmarshal(body, &set); err != nil {
		t.Fatal(err)
	}
	kids := make(map[string]bool)
	for _, key := range set.Keys {
		if !key.IsPublic() || key.Use != "sig" {
			t.Errorf("JWK %s: public %t, use %q", key.KeyID, key.IsPublic(), key.Use)
		}
		kids[key.KeyID] = true
	}
	return kids
}

// RULES B7: the main set has the keys of tokens and of the broker; who checks our access
// tokens here takes the former only.
func TestRuleB7MainSetHasTokenAndBrokerKeys(t *testing.T) {
	t.Parallel()
	cfg, c := newConfig(t)
	ring := open(t, cfg)
	_, before := ring.JWKS()
	_, _ = ring.Signer(keys.Broker)
	maintain(t, cfg, ring)
	_, after := ring.JWKS()
	if before == after {
		t.Error("the ETag stayed")
	}
	token, broker := signer(t, ring, keys.Token).KID, signer(t, ring, keys.Broker).KID
	main := inMain(t, ring)
	if len(main) != 4 || !main[token] || !main[broker] {
		t.Errorf("the main set has %v", main)
	}
	for _, p := range []keys.Purpose{keys.Audit, keys.Revocation, keys.Policy} {
		if main[signer(t, ring, p).KID] {
			t.Errorf("the main set has a key of %s", p)
		}
	}
	if _, _, ok := ring.PublicKey(broker); ok {
		t.Error("a broker key verifies access tokens")
	}
	if published(t, ring, keys.Token)[broker] || published(t, ring, keys.Broker)[token] {
		t.Error("the sets of the purposes are mixed")
	}
	// It follows the schedule of both.
	c.Advance(period + 2*time.Hour)
	if main := inMain(t, ring); main[token] || main[broker] {
		t.Errorf("long after their use it has %v", main)
	}
}

func TestReadingSealingKeysDoesNotAllocate(t *testing.T) { // not parallel: it counts allocations
	ring := fixture.OpenKeys(t, keys.Config{})
	kid, _ := sealing(t, ring)
	if n := testing.AllocsPerRun(100, func() {
		_, _, _ = ring.CurrentSealingKey()
		_, _ = ring.SealingKey(kid)
	}); n != 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}
