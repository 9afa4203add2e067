package iam_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/countersign/countersign/internal/store"
)

// pollsOf counts the polls of a view.
type pollsOf struct {
	store.Store
	count *atomic.Int64
}

func (p pollsOf) FeedHead(ctx context.Context) (store.FeedHead, error) {
	p.count.Add(1)
	return p.Store.FeedHead(ctx)
}

// Polls are made one after the other, and those of who changes something while everybody waits
// are among them: who may not revoke here has none made.
func TestRuleE4WhoMayNotRevokeHereMakesNobodyPoll(t *testing.T) {
	t.Parallel()
	count := new(atomic.Int64)
	cfg := rigConfig{exposeReasons: true}
	cfg.on.WrapStore = func(s store.Store) store.Store { return pollsOf{s, count} }
	o := newOffice(t, cfg)
	before := count.Load()
	for who, token := range map[string]string{"a stranger": o.eve, "a helper": o.kim, "an administrator of a tenant": o.ann} {
		for _, body := range []string{`{"service":"bff","local":true}`, `{"role":"r","local":true}`, `{"all":true,"local":true}`} {
			if got := o.as(t, token, "POST", "/admin/revocations", body); got.status != 403 {
				t.Errorf("%s, %s: %d %s", who, body, got.status, got.body)
			}
		}
	}
	if polls := count.Load() - before; polls != 0 {
		t.Errorf("%d polls", polls)
	}
	o.as(t, o.boss, "POST", "/admin/revocations", `{"service":"bff","local":true}`).want(t, 201)
	if count.Load() == before {
		t.Error("who may is not asked again")
	}
}
