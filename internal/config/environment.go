package config

import (
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"

	"github.com/countersign/countersign"
)

const variablePrefix = "COUNTERSIGN_"

// clientVariables are read by other commands than serve.
var clientVariables = []string{
	"COUNTERSIGN_CONFIG", "COUNTERSIGN_CONTEXT", "COUNTERSIGN_SERVER", "COUNTERSIGN_CLIENT_ID",
	"COUNTERSIGN_CLIENT_SECRET", "COUNTERSIGN_CLIENT_SECRET_FILE", "COUNTERSIGN_TOKEN",
	// An .envrc of countersign cognito seed.
	"COUNTERSIGN_COGNITO_REGION", "COUNTERSIGN_COGNITO_USER_POOL_ID", "COUNTERSIGN_COGNITO_CLIENT_ID",
	"COUNTERSIGN_COGNITO_CLIENT_SECRET", "COUNTERSIGN_COGNITO_USERNAME", "COUNTERSIGN_COGNITO_PASSWORD",
}

// variable is the name of the environment variable of a key.
func variable(path string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// applyEnvironment sets the keys that have a variable and refuses those of later
// versions.
func (l *loader) applyEnvironment() error {
	for _, k := range keyTable {
		text, given := l.env[variable(k.path)]
		if !given {
			continue
		}
		delete(l.origin, k.path)
		if text == "" {
			continue // the file's value was not stored, so the default holds
		}
		l.origin[k.path] = variable(k.path)
		if err := l.override(k, text); err != nil {
			return err
		}
	}
	for _, name := range l.variables() {
		for _, later := range laterKeys {
			if l.env[name] != "" && (name == variable(later) || strings.HasPrefix(name, variable(later)+"_")) {
				return countersign.NewError(countersign.Unsupported, "", name+" is not served by this version")
			}
		}
	}
	return nil
}

func (l *loader) override(k key, text string) error {
	base, err := os.Getwd()
	if err != nil {
		return countersign.WrapError(countersign.Invalid, "", "there is no working directory", err)
	}
	v := value{text: text, base: base}
	if k.kind == kindList {
		v.text = ""
		for item := range strings.SplitSeq(text, ",") {
			v.items = append(v.items, strings.TrimSpace(item))
		}
	}
	if !k.set(&l.cfg, v) {
		return l.wrongValue(k)
	}
	return nil
}

// variables returns the names of the COUNTERSIGN_ variables that are no key's and no
// other command's, sorted.
func (l *loader) variables() []string {
	var names []string
	for name := range l.env {
		known := slices.ContainsFunc(keyTable, func(k key) bool { return variable(k.path) == name })
		if strings.HasPrefix(name, variablePrefix) && !known && !slices.Contains(clientVariables, name) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

// warnings names the variables that do nothing: most are misspelt.
func (l *loader) warnings() []string {
	var all []string
	var known []string
	for _, k := range keyTable {
		known = append(known, variable(k.path))
	}
	for _, name := range l.variables() {
		if l.used[name] {
			continue
		}
		text := fmt.Sprintf("unknown environment variable %s is ignored", name)
		if near := nearest(name, append(known, clientVariables...)); near != "" {
			text += "; did you mean " + near + "?"
		}
		all = append(all, text)
	}
	return all
}

// substitute replaces each ${env:NAME} by the variable's value, once: what comes out is
// not looked at again.
func (l *loader) substitute(k key, text string) (string, error) {
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "${env:")
		out.WriteString(before)
		if !found {
			break
		}
		name, rest, closed := strings.Cut(after, "}")
		if !closed || !isVariable(name) {
			return "", invalid(countersign.ReasonParameterInvalid, l.at(k.path)+": write ${env:NAME}, NAME an environment variable")
		}
		value, ok := l.env[name]
		if !ok {
			return "", invalid(countersign.ReasonParameterMissing, fmt.Sprintf("%s: the environment variable %s is not set", l.at(k.path), name))
		}
		l.used[name] = true
		out.WriteString(value)
		text = rest
	}
	return out.String(), nil
}
