package condition

import (
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/env"

	"github.com/countersign/countersign"
)

// Type is the type of a variable.
type Type int

// The types, with the Go type that a value in an [Input] has.
const (
	// String is a string.
	String Type = iota + 1
	// Bool is a bool.
	Bool
	// Int is an int64.
	Int
	// Time is a time.Time.
	Time
	// Strings is a []string.
	Strings
	// StringMap is a map[string]string.
	StringMap
	// Claims is a map[string]any of the values that encoding/json makes.
	Claims
)

// celTypes say how CEL sees the types.
var celTypes = map[Type]*cel.Type{
	String: cel.StringType, Bool: cel.BoolType, Int: cel.IntType, Time: cel.TimestampType,
	Strings: cel.ListType(cel.StringType), StringMap: cel.MapType(cel.StringType, cel.StringType),
	Claims: cel.MapType(cel.StringType, cel.DynType),
}

// The sizes of a variable that doesn't say.
const (
	DefaultMaxLength = 256
	DefaultMaxItems  = 64
)

// Variable is something that an expression may name.
type Variable struct {
	// Name is a word or several with dots between them: principal.tenant.
	Name string
	Type Type
	// MaxLength is how many bytes a text in it has at most, as far as the estimate of an
	// expression's cost is concerned; 0 = 256. Longer ones are not refused, the limit of
	// the cost at evaluation holds them.
	MaxLength int
	// MaxItems is the same for the elements of a list or a map; 0 = 64.
	MaxItems int
}

// Schema is a set of variables. Safe for concurrent use; make one and keep it, since it
// is much larger than a program.
type Schema struct {
	env       *cel.Env
	variables map[string]Variable
}

// macros are those that build nothing.
var macros = []string{"has", "all", "exists", "exists_one"}

// NewSchema makes a schema of variables.
//
// Errors: countersign.Invalid for a name or a type that is none, or a name that comes twice.
func NewSchema(variables ...Variable) (*Schema, error) {
	s := &Schema{variables: make(map[string]Variable, len(variables))}
	options := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{
			IncludeMacros:    macros,
			ExcludeFunctions: []*env.Function{env.NewFunction("dyn"), env.NewFunction("type")},
		})),
		cel.ParserExpressionSizeLimit(MaxText),
		cel.ParserRecursionLimit(maxDepth),
		cel.EagerlyValidateDeclarations(true),
		cel.DefaultUTCTimeZone(true),
		cel.ASTValidators(cel.ValidateHomogeneousAggregateLiterals(), cel.ValidateDurationLiterals(),
			cel.ValidateTimestampLiterals(), cel.ValidateComprehensionNestingLimit(maxNesting)),
	}
	for _, v := range variables {
		if v.MaxLength <= 0 {
			v.MaxLength = DefaultMaxLength
		}
		if v.MaxItems <= 0 {
			v.MaxItems = DefaultMaxItems
		}
		_, twice := s.variables[v.Name]
		if twice || !validName(v.Name) || celTypes[v.Type] == nil {
			return nil, countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid,
				fmt.Sprintf("condition: variable %q has no valid name or type, or comes twice", v.Name))
		}
		s.variables[v.Name] = v
		options = append(options, cel.Variable(v.Name, celTypes[v.Type]))
	}
	made, err := cel.NewCustomEnv(options...)
	if err != nil {
		return nil, countersign.WrapError(countersign.Invalid, countersign.ReasonParameterInvalid, "condition: the variables can't be declared", err)
	}
	s.env = made
	return s, nil
}

func validName(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		for i, c := range []byte(part) {
			if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
				return false
			}
		}
		if part == "" {
			return false
		}
	}
	return true
}
