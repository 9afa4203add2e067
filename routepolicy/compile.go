package routepolicy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/condition"
	"github.com/countersign/countersign/pattern"
)

// The bounds of what is compiled together.
const (
	// MaxRules is how many rules the policies of a service have.
	MaxRules = 50_000

	maxRulesOfOne = 200
	maxItems      = 512 // of a list
	maxEntries    = 1_000_000
	maxWhenBytes  = 4 << 10
)

const nameForm = "must have 1 to 63 characters, a-z, 0-9 and -, and not start with -"

// Compile makes one policy of the documents of one service: a call is allowed when a rule
// of any of them allows it. With no documents every call is denied.
//
// Errors: [*Error] with every problem up to 20: countersign.BadPolicy with
// ReasonResourceInvalid.
func Compile(documents []Document) (*Policy, error) {
	ordered := slices.Clone(documents)
	slices.SortStableFunc(ordered, func(a, b Document) int { return cmp.Compare(a.Name, b.Name) })
	c := compiler{policy: &Policy{index: make(index), known: true, report: len(documents) > 0}}
	for i := range ordered {
		d := &ordered[i]
		if i > 0 && ordered[i-1].Name == d.Name {
			c.problems.add(d.problem("name", "there is a policy of this name already"))
		}
		c.document(d)
		if c.problems.full() {
			break
		}
	}
	if err := c.problems.err(); err != nil {
		return nil, err
	}
	return c.policy, nil
}

// compiler is a running Compile.
type compiler struct {
	policy   *Policy
	problems problems
	entries  int

	// Of the document and the rule that are read.
	of   *Document
	path string
}

func (c *compiler) wrong(path, message string) {
	if c.path != "" {
		path = strings.TrimSuffix(c.path+"."+path, ".")
	}
	c.problems.add(c.of.problem(path, message))
}

func (c *compiler) document(d *Document) {
	c.of, c.path = d, ""
	p := c.policy
	if !countersign.ValidName(d.Name) {
		c.wrong("name", nameForm)
	}
	switch {
	case !countersign.ValidName(d.Service):
		c.wrong("service", nameForm)
	case p.service != "" && p.service != d.Service:
		c.wrong("service", "the policies are of several services: compile those of one")
	}
	p.service = d.Service
	p.report = p.report && d.ReportOnly
	if len(d.Rules) > maxRulesOfOne || p.rules+len(d.Rules) > MaxRules {
		c.wrong("rules", fmt.Sprintf("are more than %d, or more than %d with those of the other policies", maxRulesOfOne, MaxRules))
		return
	}
	names := make(map[string]bool, len(d.Rules))
	for i := range d.Rules {
		c.path = at("rules", i)
		r := &d.Rules[i]
		if !countersign.ValidName(r.Name) {
			c.wrong("name", nameForm)
		} else if names[r.Name] {
			c.wrong("name", "there is a rule of this name already")
		}
		names[r.Name] = true
		c.rule(r)
	}
}

// rule compiles a rule and puts it into the index.
func (c *compiler) rule(from *Rule) {
	before := len(c.problems.list)
	made := &rule{policy: c.of.Name, name: from.Name, order: c.policy.rules}
	c.policy.rules++
	c.from(made, &from.From, from.When != "")
	methods := c.methods(from.To.Methods)
	var paths []*pathPattern
	for i, text := range c.list("to.paths", from.To.Paths, true) {
		p, err := compilePath(text)
		if err != nil {
			c.wrong(at("to.paths", i), err.Error())
			continue
		}
		paths = append(paths, p)
	}
	if from.When != "" {
		c.when(made, from.When, paths)
	}
	if len(c.problems.list) > before || c.problems.full() {
		return
	}
	c.entries += len(methods) * len(paths) * max(1, len(made.serviceNames))
	if c.entries > maxEntries {
		c.wrong("", "the policies name too many combinations of methods, paths and services")
		return
	}
	for _, method := range methods {
		for _, path := range paths {
			c.policy.index.add(method, candidate{made, path})
		}
	}
}

// list checks what is the same for all lists, and drops what comes twice.
func (c *compiler) list(path string, list []string, required bool) []string {
	if len(list) > maxItems {
		c.wrong(path, fmt.Sprintf("has more than %d values", maxItems))
		return nil
	}
	if len(list) == 0 && (required || list != nil) {
		c.wrong(path, "must not be empty")
	}
	return list
}

// literals checks a list of words in which no pattern is meant.
func (c *compiler) literals(path string, list []string) []string {
	for i, text := range c.list(path, list, false) {
		switch {
		case text == "" || !pattern.Printable(text) || strings.Contains(text, " "):
			c.wrong(at(path, i), "must be a word")
		case strings.Contains(text, "*"):
			c.wrong(at(path, i), "is compared literally: * stands for nothing here")
		}
	}
	return slices.Clone(list)
}

func (c *compiler) methods(list []string) []string {
	var made []string
	for i, method := range c.list("to.methods", list, true) {
		if method == "" || len(method) > 32 || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-") != "" {
			c.wrong(at("to.methods", i), "must be a method in upper case, such as GET; no patterns")
		}
		if !slices.Contains(made, method) {
			made = append(made, method)
		}
	}
	return made
}

// from compiles who may call.
func (c *compiler) from(r *rule, f *From, hasWhen bool) {
	switch {
	case len(f.Services) == 0 && !f.WithoutService:
		c.wrong("from.services", "is missing: without services say without_service: true")
	case len(f.Services) > 0 && f.WithoutService:
		c.wrong("from.without_service", "is given beside services: use one of them")
	}
	r.anyService = f.WithoutService
	c.services(r, f.Services, hasWhen)
	r.userRoles = c.literals("from.user_roles", f.UserRoles)
	r.scopes = c.literals("from.scopes", f.Scopes)
	r.roles = c.literals("from.roles", f.Roles)
	limited := hasWhen || len(f.Services)+len(r.userRoles)+len(r.scopes)+len(r.roles) > 0
	for i, text := range c.list("from.users", f.Users, false) {
		if text == "**" {
			r.users = append(r.users, userPattern{anybody: true})
			if !limited {
				c.wrong(at("from.users", i), "every user of every issuer: name who, or say it in a when")
			}
			continue
		}
		u, message := compileUser(text)
		if message != "" {
			c.wrong(at("from.users", i), message)
			continue
		}
		r.users = append(r.users, u)
	}
	if f.WithoutService && !limited && len(f.Users) == 0 {
		c.wrong("from", "every caller: name who, or say it in a when")
	}
}

func (c *compiler) services(r *rule, list []string, hasWhen bool) {
	literal := len(list) > 0
	for i, text := range c.list("from.services", list, false) {
		p, err := compilePattern(text)
		if err != nil {
			c.wrong(at("from.services", i), err.Error())
			continue
		}
		if p.Everything() && !hasWhen {
			c.wrong(at("from.services", i), "every service: name which, or say it in a when")
		}
		literal = literal && p.Literal()
		r.services = append(r.services, p)
		if p.Literal() && !slices.Contains(r.serviceNames, text) {
			r.serviceNames = append(r.serviceNames, text)
		}
	}
	if !literal {
		r.serviceNames = nil
	}
}

func compileUser(text string) (u userPattern, message string) {
	issuer, subject, found := strings.Cut(text, "|")
	switch {
	case !found:
		return u, "must be ISSUER|SUBJECT, or ** for every user: a subject alone is nobody in particular"
	case issuer == "" || !pattern.Printable(issuer):
		return u, "must have the issuer's URL before the |"
	case strings.Contains(issuer, "*"):
		return u, "must have the exact URL of one issuer before the |"
	}
	p, err := compilePattern(subject)
	if err != nil {
		return u, "the subject: " + err.Error()
	}
	return userPattern{issuer: issuer, subject: p}, ""
}

// when compiles the condition. Every path must have the parameters that it names.
func (c *compiler) when(r *rule, text string, paths []*pathPattern) {
	if len(text) > maxWhenBytes {
		c.wrong("when", fmt.Sprintf("is longer than %d bytes", maxWhenBytes))
		return
	}
	known, err := schema()
	if err != nil {
		c.wrong("when", "can't be compiled")
		return
	}
	program, err := condition.Compile(text, known)
	if err != nil {
		c.wrong("when", countersign.MessageOf(err))
		return
	}
	for _, name := range program.Keys(varPathParams) {
		for _, path := range paths {
			if !slices.ContainsFunc(path.params, func(p param) bool { return p.name == name }) {
				c.wrong("when", fmt.Sprintf("names a parameter that not every path of the rule has as {%s}", clip(name)))
				break
			}
		}
	}
	r.when = program
}
