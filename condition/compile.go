package condition

import (
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/ast"
	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"

	"github.com/countersign/countersign"
)

// The limits of an expression.
const (
	// MaxText is the length of an expression in bytes.
	MaxText = 4 << 10
	// MaxCost bounds the estimated cost at Compile and the true one at Match, in the
	// units of cel-go: about one for each step, and a tenth for each byte of a text.
	MaxCost = 10_000

	maxDepth        = 64  // of the parser's recursion
	maxNesting      = 2   // of all, exists and exists_one in each other
	maxInstructions = 500 // of a compiled pattern of matches
	interruptEvery  = 1   // rounds of a loop between two looks at the clock
)

// Program is a compiled condition. Safe for concurrent use.
type Program struct {
	text      string
	program   cel.Program
	schema    *Schema
	keys      map[string][]string
	variables []string
}

// Compile checks an expression and makes it ready.
//
// Errors: countersign.BadPolicy for an expression that is not typed, not a bool, too
// costly or too long; the message says what is wrong and where, and holds no values but
// names of the expression.
func Compile(text string, schema *Schema) (*Program, error) {
	if schema == nil {
		return nil, bad("there is no schema", nil)
	}
	if len(text) > MaxText {
		return nil, bad("the expression is longer than 4 KiB", nil)
	}
	if strings.TrimSpace(text) == "" {
		return nil, bad("the expression is empty", nil)
	}
	parsed, issues := schema.env.Parse(text)
	if issues.Err() != nil {
		return nil, bad(told(issues), issues.Err())
	}
	found := make(patterns)
	if err := found.anchor(parsed.NativeRep()); err != nil {
		return nil, err
	}
	checked, issues := schema.env.Check(parsed)
	if issues.Err() != nil {
		return nil, bad(told(issues), issues.Err())
	}
	if !checked.OutputType().IsExactType(types.BoolType) {
		return nil, bad("the result must be a bool", nil)
	}
	cost, err := schema.env.EstimateCost(checked, estimator{schema})
	if err != nil {
		return nil, bad("the cost can't be estimated", err)
	}
	if cost.Max > MaxCost {
		return nil, bad("the expression may cost too much: make lists and texts that it goes through smaller", nil)
	}
	program, err := schema.env.Program(checked,
		cel.EvalOptions(cel.OptOptimize),
		cel.CostTracking(found),
		cel.CostLimit(MaxCost),
		cel.InterruptCheckFrequency(interruptEvery),
		cel.OptimizeRegex(&interpreter.RegexOptimization{Function: "matches", RegexIndex: 1, Factory: found.bound}),
	)
	if err != nil {
		return nil, bad("the expression can't be compiled", err)
	}
	p := &Program{text: text, program: program, schema: schema, keys: make(map[string][]string)}
	p.collect(checked.NativeRep().Expr())
	return p, nil
}

// String returns the text of the expression.
func (p *Program) String() string { return p.text }

// Keys returns the keys of a map that the expression names as a constant, in no
// particular order: m.a, m["a"]. A key that is only asked for by has is one of them.
func (p *Program) Keys(variable string) []string { return slices.Clone(p.keys[variable]) }

// Uses reports whether the expression names the variable.
func (p *Program) Uses(variable string) bool { return slices.Contains(p.variables, variable) }

// collect keeps which variables and which of their keys are named.
func (p *Program) collect(e ast.Expr) {
	add := func(operand ast.Expr, key string) {
		if operand.Kind() == ast.IdentKind && !slices.Contains(p.keys[operand.AsIdent()], key) {
			p.keys[operand.AsIdent()] = append(p.keys[operand.AsIdent()], key)
		}
	}
	ast.PostOrderVisit(e, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			if _, declared := p.schema.variables[e.AsIdent()]; declared {
				p.variables = append(p.variables, e.AsIdent())
			}
		case ast.SelectKind:
			add(e.AsSelect().Operand(), e.AsSelect().FieldName())
		case ast.CallKind:
			call := e.AsCall()
			if call.FunctionName() != "_[_]" || len(call.Args()) != 2 {
				return
			}
			if key, ok := literal(call.Args()[1]); ok {
				add(call.Args()[0], key)
			}
		}
	}))
}

func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	text, ok := e.AsLiteral().(types.String)
	return string(text), ok
}

// anchor makes every pattern of matches one of the whole string, in the expression
// itself: then no later step can see another one. It refuses what no condition needs.
func (p patterns) anchor(a *ast.AST) error {
	factory := ast.NewExprFactory()
	var failed error
	ast.PostOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.StructKind {
			failed = bad("messages can't be built in a condition", nil)
			return
		}
		if e.Kind() != ast.CallKind || strings.TrimPrefix(e.AsCall().FunctionName(), ".") != "matches" || failed != nil {
			return
		}
		arguments := e.AsCall().Args()
		if len(arguments) == 0 {
			return // the check refuses it
		}
		last := arguments[len(arguments)-1]
		pattern, ok := literal(last)
		if !ok {
			failed = bad("the pattern of matches must be a text in quotes", nil)
			return
		}
		whole, instructions, err := wholeString(pattern)
		if err != nil {
			failed = err
			return
		}
		p[whole] = instructions
		last.SetKindCase(factory.NewLiteral(last.ID(), types.String(whole)))
	}))
	return failed
}

// wholeString returns the pattern that matches nothing but what all of pattern matches,
// and how many instructions it has.
func wholeString(pattern string) (whole string, instructions int, err error) {
	if _, err := syntax.Parse(pattern, syntax.Perl); err != nil { // alone first: a pattern can't close our group
		return "", 0, bad("the pattern of matches is not RE2", err)
	}
	whole = `\A(?:` + pattern + `)\z`
	parsed, err := syntax.Parse(whole, syntax.Perl)
	if err != nil {
		return "", 0, bad("the pattern of matches is not RE2", err)
	}
	compiled, err := syntax.Compile(parsed.Simplify())
	if err != nil || len(compiled.Inst) > maxInstructions {
		return "", 0, bad("the pattern of matches is too large", err)
	}
	return whole, len(compiled.Inst), nil
}

// estimator bounds what variables hold.
type estimator struct{ schema *Schema }

// EstimateSize implements checker.CostEstimator.
func (s estimator) EstimateSize(node checker.AstNode) *checker.SizeEstimate {
	path := node.Path()
	if len(path) == 0 {
		return nil
	}
	v, declared := s.schema.variables[path[0]]
	if !declared {
		return nil
	}
	size := checker.SizeEstimate{}
	switch node.Type().Kind() {
	case types.ListKind, types.MapKind:
		size.Max = uint64(v.MaxItems) //nolint:gosec // G115: it is positive
	case types.StringKind, types.BytesKind:
		size.Max = uint64(v.MaxLength) //nolint:gosec // G115: it is positive
	case types.DynKind, types.TypeParamKind, types.AnyKind:
		size.Max = uint64(max(v.MaxItems, v.MaxLength)) //nolint:gosec // G115: it is positive
	default:
		size = checker.FixedSizeEstimate(1)
	}
	return &size
}

// EstimateCallCost implements checker.CostEstimator: the library knows its functions.
func (estimator) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}

// told is the first line of what the compiler says.
func told(issues *cel.Issues) string {
	errs := issues.Errors()
	if len(errs) == 0 {
		return "the expression is not valid"
	}
	const limit = 200
	message, _, _ := strings.Cut(errs[0].Message, "\n")
	if len(message) > limit {
		message = strings.ToValidUTF8(message[:limit], "") + "…"
	}
	return message
}

func bad(msg string, cause error) error {
	if cause == nil {
		return countersign.NewError(countersign.BadPolicy, countersign.ReasonResourceInvalid, msg)
	}
	return countersign.WrapError(countersign.BadPolicy, countersign.ReasonResourceInvalid, msg, cause)
}
