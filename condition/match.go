package condition

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
)

// The limits of an evaluation.
const (
	// MaxInput is how many bytes the keys and texts of an Input have together.
	MaxInput = 64 << 10
	// MaxTime is how long one evaluation works at most.
	MaxTime = 5 * time.Millisecond

	maxInputDepth = 16 // of lists and maps in each other
	// Of one matches, which nothing interrupts: bytes of the text times instructions of
	// the pattern. The slowest patterns do some 30 in a microsecond.
	maxSteps     = 60_000
	stepsPerCost = 15 // of matches: the whole cost is 150,000 steps
)

// tries share MaxTime. Only the clock on the wall tells how long a loop took, and it goes on
// while a busy machine runs somebody else: a caller who may would be refused. Who was put
// aside is seldom put aside again at once, so the next try sees the end. The last one has the
// most: it is for expressions that do have much to do.
var tries = [...]time.Duration{MaxTime / 10, MaxTime / 10, MaxTime * 8 / 10}

// Input holds the values of variables by name, each of the Go type that its [Type] names.
// A variable may be missing: an expression that needs it then does not match.
type Input map[string]any

var (
	errSize    = errors.New("the input is larger than 64 KiB or nested too deeply")
	errResult  = errors.New("the result is not a bool")
	errPattern = errors.New("a pattern of matches that was not checked")
	errSteps   = errors.New("the text is too long for the pattern of matches")
)

// Match evaluates the condition. A match is true with a nil error; with an error it is
// never one. Its loops end after [MaxTime] of work or with ctx; all else is bounded by the cost.
//
// Errors: countersign.BadPolicy with why the expression has no result; it is for logs and
// explanations, and a caller that only decides may ignore it.
func (p *Program) Match(ctx context.Context, input Input) (bool, error) {
	if err := p.check(input); err != nil {
		return false, bad("the condition was not evaluated", err)
	}
	if err := ctx.Err(); err != nil {
		return false, bad("the condition was not evaluated", err)
	}
	result, err := p.evaluate(ctx, activation(input))
	if err != nil {
		return false, bad("the condition has no result", err)
	}
	answer, ok := result.(types.Bool)
	if !ok {
		return false, bad("the condition has no result", errResult)
	}
	return bool(answer), nil
}

// evaluate evaluates again what was out of time: nothing but the result comes of it.
func (p *Program) evaluate(ctx context.Context, in interpreter.Activation) (result ref.Val, err error) {
	for _, limit := range tries {
		limited, cancel := context.WithTimeout(ctx, limit)
		result, _, err = p.program.ContextEval(limited, in)
		stopped := limited.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil || !stopped {
			break
		}
	}
	return result, err //nolint:wrapcheck // Match does
}

// check refuses an input that is too large, or whose values are of other types than
// what the expression was checked with.
func (p *Program) check(input Input) error {
	total := 0
	for name, value := range input {
		v, declared := p.schema.variables[name]
		if !declared || !fits(v.Type, value) {
			return fmt.Errorf("variable %q is not declared, or not of this type", name)
		}
		size, ok := sizeOf(value, 0)
		total += size
		if !ok || total > MaxInput {
			return errSize
		}
	}
	return nil
}

func fits(t Type, value any) (ok bool) {
	switch t {
	case String:
		_, ok = value.(string)
	case Bool:
		_, ok = value.(bool)
	case Int:
		_, ok = value.(int64)
	case Time:
		_, ok = value.(time.Time)
	case Strings:
		_, ok = value.([]string)
	case StringMap:
		_, ok = value.(map[string]string)
	case Claims:
		_, ok = value.(map[string]any)
	}
	return ok
}

// sizeOf returns how many bytes a value has; ok is false for what an Input can't hold.
func sizeOf(value any, depth int) (size int, ok bool) {
	if depth > maxInputDepth {
		return 0, false
	}
	switch v := value.(type) {
	case nil, bool, int64, float64, time.Time:
		return 8, true
	case string:
		return len(v), true
	case []string:
		for _, text := range v {
			size += len(text) + 1
		}
		return size, true
	case map[string]string:
		for key, text := range v {
			size += len(key) + len(text) + 1
		}
		return size, true
	case []any:
		for _, inner := range v {
			n, ok := sizeOf(inner, depth+1)
			if size += n + 1; !ok || size > MaxInput {
				return size, false
			}
		}
		return size, true
	case map[string]any:
		for key, inner := range v {
			n, ok := sizeOf(inner, depth+1)
			if size += n + len(key) + 1; !ok || size > MaxInput {
				return size, false
			}
		}
		return size, true
	}
	return 0, false
}

// activation gives the evaluation its input.
type activation Input

// ResolveName implements interpreter.Activation.
func (a activation) ResolveName(name string) (any, bool) {
	value, ok := a[name]
	return value, ok
}

// Parent implements interpreter.Activation.
func (activation) Parent() interpreter.Activation { return nil }

// patterns are those of matches in an expression, with the instructions that each has.
// Read only once the expression is compiled.
type patterns map[string]int

// CallCost implements interpreter.ActualCostEstimator: matches costs what it does, so that
// many of them together stay within the limit as well; the library knows the rest.
func (p patterns) CallCost(function, _ string, arguments []ref.Val, _ ref.Val) *uint64 {
	if function != "matches" || len(arguments) != 2 {
		return nil
	}
	text, isText := arguments[0].(types.String)
	pattern, isPattern := arguments[1].(types.String)
	if !isText || !isPattern {
		return nil
	}
	cost := uint64(1 + len(text)*p[string(pattern)]/stepsPerCost) //nolint:gosec // G115: it is positive
	return &cost
}

// bound makes a call of matches whose pattern is compiled once, and whose work is bounded.
func (p patterns) bound(call interpreter.InterpretableCall, pattern string) (interpreter.InterpretableCall, error) {
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	instructions, known := p[pattern]
	if !known {
		return nil, errPattern
	}
	return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(values ...ref.Val) ref.Val {
		if len(values) != 2 {
			return types.NoSuchOverloadErr()
		}
		text, ok := values[0].(types.String)
		if !ok {
			return types.NoSuchOverloadErr()
		}
		if len(text)*instructions > maxSteps {
			return types.WrapErr(errSteps)
		}
		return types.Bool(compiled.MatchString(string(text)))
	}), nil
}
