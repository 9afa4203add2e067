package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

func loginCases() cases {
	return cases{
		"Code":      testLoginCode,
		"CodeOnce":  testLoginCodeOnce,
		"CodeEnds":  testLoginCodeEnds,
		"Logins":    testLogins,
		"Bound":     testLoginsBound,
		"EndLogins": testEndLogins,
	}
}

var loginAt = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

func code(n int) store.LoginCode {
	return store.LoginCode{Hash: []byte(fmt.Sprint("hash ", n)), CreatedBy: "local:1", CreatedAt: loginAt, ExpiresAt: loginAt.Add(time.Hour)}
}

func login(n int) store.Login {
	return store.Login{ID: fmt.Sprint("login-", n), Public: []byte{1, 0, 2}, Label: "laptop", CreatedBy: "local:1",
		CreatedAt: loginAt.Add(time.Duration(n) * time.Second), ExpiresAt: loginAt.Add(12 * time.Hour)}
}

func use(s store.Store, hash []byte, now time.Time) (by string, err error) {
	err = s.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
		c, err := tx.UseLoginCode(ctx, hash, now)
		by = c.CreatedBy
		return err
	})
	return by, err
}

func testLoginCode(t *testing.T, open func() store.Store) {
	t.Helper()
	s := open()
	update(t, s, func(ctx context.Context, tx store.Tx) error { return tx.PutLoginCode(ctx, code(1)) })
	if _, err := use(s, []byte("hash 2"), loginAt); !errors.Is(err, countersign.NotFound) {
		t.Errorf("another code: %v", err)
	}
	for at, want := range map[time.Time]bool{loginAt: true, loginAt.Add(time.Hour): false} {
		if known, err := s.LoginCodeKnown(t.Context(), code(1).Hash, at); err != nil || known != want {
			t.Errorf("known at %v: %v, %v", at, known, err)
		}
	}
	if by, err := use(s, code(1).Hash, loginAt); err != nil || by != "local:1" {
		t.Errorf("%q, %v", by, err)
	}
	if _, err := use(s, code(1).Hash, loginAt); !errors.Is(err, countersign.NotFound) {
		t.Errorf("a second use: %v", err)
	}
}

// Of many that try at once, in two processes, one gets in.
func testLoginCodeOnce(t *testing.T, open func() store.Store) {
	t.Helper()
	stores := []store.Store{open(), open()}
	update(t, stores[0], func(ctx context.Context, tx store.Tx) error { return tx.PutLoginCode(ctx, code(1)) })
	var used atomic.Int64
	var wait sync.WaitGroup
	for i := range 16 {
		wait.Go(func() {
			if _, err := use(stores[i%2], code(1).Hash, loginAt); err == nil {
				used.Add(1)
			}
		})
	}
	wait.Wait()
	if used.Load() != 1 {
		t.Errorf("%d used the code", used.Load())
	}
}

func testLoginCodeEnds(t *testing.T, open func() store.Store) {
	t.Helper()
	s := open()
	update(t, s, func(ctx context.Context, tx store.Tx) error { return tx.PutLoginCode(ctx, code(1)) })
	if _, err := use(s, code(1).Hash, loginAt.Add(time.Hour)); !errors.Is(err, countersign.NotFound) {
		t.Errorf("after its end: %v", err)
	}
}

func testLogins(t *testing.T, open func() store.Store) {
	t.Helper()
	s, other := open(), open()
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		return errors.Join(tx.CreateLogin(ctx, login(2)), tx.CreateLogin(ctx, login(1)))
	})
	got, err := other.Login(t.Context(), "login-1")
	if diff := cmp.Diff(login(1), got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	list, err := other.Logins(t.Context(), loginAt)
	if diff := cmp.Diff([]store.Login{login(1), login(2)}, list); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if list, err := other.Logins(t.Context(), loginAt.Add(12*time.Hour)); err != nil || len(list) != 0 {
		t.Errorf("ended ones: %v, %v", list, err)
	}
	update(t, s, func(ctx context.Context, tx store.Tx) error { return tx.DeleteLogin(ctx, "login-1") })
	if _, err := other.Login(t.Context(), "login-1"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("after its end: %v", err)
	}
	err = s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.DeleteLogin(ctx, "login-1") })
	if !errors.Is(err, countersign.NotFound) {
		t.Errorf("ended twice: %v", err)
	}
	err = s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.CreateLogin(ctx, login(2)) })
	if !errors.Is(err, countersign.Conflict) {
		t.Errorf("made twice: %v", err)
	}
}

func testLoginsBound(t *testing.T, open func() store.Store) {
	t.Helper()
	s := open()
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		for i := range store.MaxLogins {
			if err := errors.Join(tx.PutLoginCode(ctx, code(i)), tx.CreateLogin(ctx, login(i))); err != nil {
				return err
			}
		}
		return nil
	})
	for name, put := range map[string]func(context.Context, store.Tx, time.Time) error{
		"code": func(ctx context.Context, tx store.Tx, at time.Time) error {
			c := code(store.MaxLogins)
			c.CreatedAt = at
			return tx.PutLoginCode(ctx, c)
		},
		"login": func(ctx context.Context, tx store.Tx, at time.Time) error {
			l := login(store.MaxLogins)
			l.CreatedAt = at
			return tx.CreateLogin(ctx, l)
		},
	} {
		err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return put(ctx, tx, loginAt) })
		if !errors.Is(err, countersign.Throttled) {
			t.Errorf("one %s more: %v", name, err)
		}
		update(t, s, func(ctx context.Context, tx store.Tx) error { return put(ctx, tx, loginAt.Add(24*time.Hour)) })
	}
}

func testEndLogins(t *testing.T, open func() store.Store) {
	t.Helper()
	s := open()
	update(t, s, func(ctx context.Context, tx store.Tx) error {
		return errors.Join(tx.PutLoginCode(ctx, code(1)), tx.CreateLogin(ctx, login(1)))
	})
	update(t, s, func(ctx context.Context, tx store.Tx) error { return tx.EndLogins(ctx, true) })
	if _, err := use(s, code(1).Hash, loginAt); !errors.Is(err, countersign.NotFound) {
		t.Errorf("a code: %v", err)
	}
	if _, err := s.Login(t.Context(), "login-1"); err != nil {
		t.Errorf("a login that was to stay: %v", err)
	}
	update(t, s, func(ctx context.Context, tx store.Tx) error { return tx.EndLogins(ctx, false) })
	if _, err := s.Login(t.Context(), "login-1"); !errors.Is(err, countersign.NotFound) {
		t.Errorf("a login: %v", err)
	}
}
