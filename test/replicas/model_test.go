package replicas

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/countersign/countersign"
)

const (
	// staleness is after how long without its database a replica refuses what is revocable.
	staleness = 5 * time.Second
	// anywhere is how long after it was acknowledged a revocation may be unknown to any
	// replica that still answers: the staleness, twice the skew (a clock that is set back
	// makes what is known look newer), and what a request takes on a busy machine.
	anywhere = staleness + 2*maxSkew + 2*time.Second
	// connected is the same for a replica that has had its database all the time.
	connected = 3 * time.Second
	// maxSkew is how far the clocks of replicas that are ready are off, at most.
	maxSkew = 900 * time.Millisecond
)

// model is what must hold, whatever happens. Safe for concurrent use.
type model struct {
	t        *testing.T
	mu       sync.Mutex
	problems []string
	used     map[string]int // accepted uses of what is good once
	issued   []string       // ids of tokens that were handed out
	// late are how long after its revocation something was accepted: at replicas that had
	// their database, and at others.
	lateConnected, lateAnywhere time.Duration
	count                       map[string]int
}

func newModel(t *testing.T) *model {
	t.Helper()
	return &model{t: t, used: map[string]int{}, count: map[string]int{}}
}

// violated notes what must not happen.
func (m *model) violated(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.problems) < 20 {
		m.problems = append(m.problems, fmt.Sprintf(format, args...))
	}
}

func (m *model) counted(what string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count[what]++
}

// once notes that a value was accepted.
func (m *model) once(value string) {
	m.mu.Lock()
	m.used[value]++
	uses := m.used[value]
	m.mu.Unlock()
	if uses > 1 {
		m.violated("single-use value %s was accepted %d times", value, uses)
	}
}

// accepted notes that something was accepted which was dead since a time (zero = it lived),
// by a replica that was asked at began and has been calm since a time.
func (m *model) accepted(what string, dead, began, calm time.Time) {
	if dead.IsZero() || !began.After(dead) {
		return
	}
	late := began.Sub(dead)
	quiet := !calm.IsZero() && dead.Sub(calm) > connected
	m.mu.Lock()
	if quiet {
		m.lateConnected = max(m.lateConnected, late)
	} else {
		m.lateAnywhere = max(m.lateAnywhere, late)
	}
	m.mu.Unlock()
	switch {
	case late > anywhere:
		m.violated("%s was accepted %v after it had been revoked", what, late)
	case quiet && late > connected:
		m.violated("%s was accepted %v after it had been revoked, by a replica that had its database", what, late)
	}
}

// mortal is a service that is disabled, enabled, rotated, deleted and made again.
type mortal struct {
	name string
	// admin is held by the one operation that changes it.
	admin sync.Mutex

	mu     sync.Mutex
	secret secretState
	old    []secretState // rotated away; the last few
	tokens []*tokenState // the last few
	buried []*tokenState // dead ones from before
	// dead is since when it is known to be disabled or deleted; zero = it may live.
	dead     time.Time
	disabled bool
	// unknown: an answer was lost; nothing is expected of it until it is made anew.
	unknown bool
}

type secretState struct {
	value countersign.Secret
	dead  time.Time
}

type tokenState struct {
	text, id string
	service  string
	mu       sync.Mutex
	dead     time.Time
	how      string // it died
}

func (s *tokenState) kill(how string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead.IsZero() {
		s.dead, s.how = at, how
	}
}

func (s *tokenState) cause() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.how
}

func (s *tokenState) deadSince() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}

// keep remembers a token that was handed out after the request began. Of the older ones
// those that are dead are kept much longer: they must stay so.
func (s *mortal) keep(token *tokenState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens = append(s.tokens, token)
	if len(s.tokens) <= 12 {
		return
	}
	oldest := s.tokens[0]
	s.tokens = s.tokens[1:]
	if oldest.deadSince().IsZero() {
		return
	}
	s.buried = append(s.buried, oldest)
	if len(s.buried) > 100 {
		s.buried = s.buried[1:]
	}
}

// all returns the tokens that are remembered, the buried ones too.
func (s *mortal) all() []*tokenState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.buried, s.tokens)
}

// held returns the tokens that were handed out so far.
func (s *mortal) held() []*tokenState {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*tokenState{}, s.tokens...)
}

// sessionState is a session that may be revoked.
type sessionState struct {
	credentials *types.Credentials
	mu          sync.Mutex
	dead        time.Time
}

// register is an object whose content counts up.
type register struct {
	name string
	// writing is held by the one operation that writes it.
	writing sync.Mutex
	mu      sync.Mutex
	tried   int // the highest number that was ever sent
	acked   int // the highest that was acknowledged
}

// read checks what was read against what was acknowledged before the read began.
func (r *register) read(m *model, acked, value int) {
	r.mu.Lock()
	tried := r.tried
	r.mu.Unlock()
	if value < acked || value > tried {
		m.violated("%s has %d, and %d was acknowledged and %d tried", r.name, value, acked, tried)
	}
}

func (r *register) ackedNow() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.acked
}
