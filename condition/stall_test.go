package condition

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"

	"github.com/countersign/countersign"
)

var errStopped = errors.New("operation interrupted")

// stalled is a program that the machine puts aside for so many evaluations, until their time
// is over; then it matches at once.
type stalled struct {
	cel.Program
	stalls, evaluations int
	onStall             func()
}

func (s *stalled) ContextEval(ctx context.Context, _ any) (ref.Val, *cel.EvalDetails, error) {
	if s.evaluations++; s.evaluations > s.stalls {
		return types.True, nil, nil
	}
	s.onStall()
	<-ctx.Done()
	return nil, nil, errStopped
}

// RULES D4: the limit is of what an evaluation works. On a busy machine one of a few
// microseconds was put aside for longer than that, and a caller who may was refused.
func TestRuleD4WaitForTheMachineIsNoWork(t *testing.T) {
	t.Parallel()
	var work time.Duration
	for _, limit := range tries {
		work += limit
	}
	if work > MaxTime {
		t.Errorf("all tries together work for %v", work)
	}
	for name, test := range map[string]struct {
		stalls      int
		gone        bool // who asked, meanwhile
		evaluations int
		want        bool
	}{
		"never":            {0, false, 1, true},
		"once":             {1, false, 2, true},
		"twice":            {2, false, 3, true},
		"without end":      {1000, false, len(tries), false},
		"and nobody waits": {1, true, 1, false},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		s := &stalled{stalls: test.stalls, onStall: func() {
			if test.gone {
				cancel()
			}
		}}
		p := &Program{program: s, schema: new(Schema)}
		ok, err := p.Match(ctx, nil)
		cancel()
		if ok != test.want || s.evaluations != test.evaluations || !ok && !errors.Is(err, countersign.BadPolicy) {
			t.Errorf("%s: %v, %v, %d evaluations", name, ok, err, s.evaluations)
		}
	}
}
