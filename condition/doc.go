// Package condition compiles and evaluates conditions: CEL expressions that say yes or no
// about a caller and a request.
//
//	schema, err := condition.NewSchema(
//		condition.Variable{Name: "principal.tenant", Type: condition.String},
//		condition.Variable{Name: "request.path_params", Type: condition.StringMap})
//	program, err := condition.Compile(`principal.tenant == request.path_params.tenant`, schema)
//	ok, err := program.Match(ctx, condition.Input{"principal.tenant": "acme", …})
//
// # What may be said
//
// An expression is checked when it is compiled (RULES D4): it names declared variables
// only, its result is a bool, and its estimated cost, with every input as large as its
// variable may be, is at most [MaxCost]. The functions are those of the CEL standard
// library without dyn and type; the macros are has, all, exists and exists_one. The
// pattern of matches is a text in the expression (RE2) and must match the whole string.
// There is no clock: the time is a variable like the others.
//
// # What a match is
//
// A match is a result that is true, within the limits of cost, time and size of the input.
// An error, whatever it is, is no match: a missing key, a variable that was not given, a
// limit that was reached.
//
// Source: https://github.com/google/cel-spec/blob/master/doc/langdef.md
//
// Layer 1.
package condition
