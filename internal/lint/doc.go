// Package lint finds trust that is dangerous or that can't work, in documents of package
// resource. Its rules are one table (RULES D10), see [Rules]: what an error says must not be
// saved, a warning is told.
//
// An error of a rule that can be overridden becomes a warning where the statement names the
// rule in insecure_allow; [Finding.Allowed] tells, and whoever saves it records that.
//
// What a statement lets in is not guessed from its text alone: strangers are made up, who
// have whatever anybody can get at the issuer, and the compiled statement is asked whether
// it lets them in.
//
// Every function is pure. Start with [Check].
//
// Layer 4.
package lint
