package replicas

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
)

// change disables, enables, rotates, or deletes and makes a service again.
func (c *call) change() {
	s := c.w.mortals[c.r.IntN(len(c.w.mortals))]
	what := c.r.IntN(4)
	if !s.admin.TryLock() {
		return
	}
	defer s.admin.Unlock()
	s.mu.Lock()
	unknown, disabled := s.unknown, s.disabled
	s.mu.Unlock()
	switch {
	case unknown:
		c.renew(s)
	case what == 3:
		c.rotate(s)
	case what == 2:
		c.renew(s)
	case disabled:
		c.enable(s)
	default:
		c.disable(s)
	}
}

// lost notes that nobody knows whether a change was made.
func (c *call) lost(s *mortal, what string, err error) bool {
	c.w.m.counted(what + " " + outcome(err))
	if err == nil && c.heard() {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unknown, s.dead = true, time.Time{}
	return true
}

// ended kills what the service holds.
func (s *mortal) ended(how string, held []*tokenState, at time.Time) {
	for _, token := range held {
		token.kill(how, at)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dead, s.disabled = at, true
}

func (c *call) disable(s *mortal) {
	held := s.held()
	_, err := c.life.admin.DisableService(context.Background(), s.name, iamclient.AnyRevision)
	if !c.lost(s, "disable", err) {
		s.ended(fmt.Sprint("disable at ", c.node.name), held, time.Now())
	}
}

func (c *call) enable(s *mortal) {
	held := s.held() // of a replica that had not heard that it was disabled
	s.mu.Lock()
	s.dead = time.Time{} // from now on it may live
	s.mu.Unlock()
	_, err := c.life.admin.EnableService(context.Background(), s.name, iamclient.AnyRevision)
	if !c.lost(s, "enable", err) {
		for _, token := range held {
			token.kill(fmt.Sprint("enable at ", c.node.name), time.Now())
		}
		s.mu.Lock()
		s.disabled = false
		s.mu.Unlock()
	}
}

func (c *call) rotate(s *mortal) {
	made, err := c.life.admin.RotateSecret(context.Background(), s.name, iamclient.AnyRevision, 0)
	if !c.lost(s, "rotate", err) {
		s.replace(made.ClientSecret)
	}
}

// replace notes a new secret; the one before is dead.
func (s *mortal) replace(secret countersign.Secret) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.secret.dead = time.Now(); !s.secret.value.IsZero() {
		s.old = append(s.old, s.secret)
	}
	if len(s.old) > 4 {
		s.old = s.old[1:]
	}
	s.secret = secretState{value: secret}
}

// renew deletes the service, if it is there, and makes it again.
func (c *call) renew(s *mortal) {
	held := s.held()
	err := c.life.admin.DeleteService(context.Background(), s.name, iamclient.AnyRevision)
	if errors.Is(err, countersign.NotFound) {
		err = nil // an answer was lost before
	}
	if c.lost(s, "delete", err) {
		return
	}
	s.ended(fmt.Sprint("delete at ", c.node.name), held, time.Now())
	s.mu.Lock()
	s.unknown = true // until it is made
	s.dead = time.Time{}
	s.mu.Unlock()
	made, err := c.life.admin.CreateService(context.Background(), iamclient.CreateService{Name: s.name, Audiences: []string{"parse-service"}})
	if c.lost(s, "create", err) {
		return
	}
	s.replace(made.ClientSecret)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unknown, s.disabled, s.dead = false, false, time.Time{}
}
