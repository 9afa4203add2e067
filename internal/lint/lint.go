package lint

import (
	"slices"
	"time"

	"github.com/countersign/countersign/internal/resource"
)

// Finding is one thing that a rule has found.
type Finding struct {
	Rule     string
	Severity Severity
	// Allowed tells that it is an error, and a warning only because insecure_allow of the
	// statement names the rule.
	Allowed    bool
	Kind, Name string
	// Path is the field's, as in trust[0].oidc.issuer.
	Path, Message string
	// File is "" for what does not come from one; Line and Column count from 1.
	File         string
	Line, Column int
}

// Lookup is what there is beside the documents.
type Lookup struct {
	// OwnIssuer is the URL of our own; "" = not known.
	OwnIssuer string
	// Issuers are those that are not among the documents.
	Issuers []*resource.Document
	// Buckets are those that are not among the documents, and Roles those of them that a
	// bucket among the documents names; nil = not known, and nothing is said of them.
	Buckets, Roles []*resource.Document
}

// longSession is from where on sessions are told of.
const longSession = 4 * time.Hour

// Check holds documents against the rules, in the order of the documents.
func Check(documents []resource.Document, others Lookup) []Finding {
	c := &checker{own: others.OwnIssuer, issuers: others.Issuers, buckets: others.Buckets, roles: others.Roles}
	for i := range documents {
		switch d := &documents[i]; {
		case d.Issuer != nil:
			c.issuers = append(slices.Clip(c.issuers), d)
		case d.Bucket != nil:
			c.buckets = append(slices.Clip(c.buckets), d)
		case d.Role != nil:
			c.roles = append(slices.Clip(c.roles), d)
		}
	}
	known, buckets := len(others.Issuers), len(others.Buckets)
	for i := range documents {
		c.document = &documents[i]
		switch d := c.document; {
		case d.Issuer != nil:
			c.issuer(c.issuers[:known])
			known++
		case d.Role != nil:
			c.role(d.Role)
		case d.Bucket != nil:
			c.bucket(d.Bucket, c.buckets[:buckets])
			buckets++
		case d.RoutePolicy != nil:
			c.routePolicy()
		}
		for k := range c.document.Trust() {
			c.statement(k, &c.document.Trust()[k])
		}
	}
	return c.found
}

// FindingOf is what the problem of a document that could not be read is in the table.
func FindingOf(p resource.Problem) Finding {
	message := p.Message
	if p.Nearest != "" {
		message += "; did you mean " + p.Nearest + "?"
	}
	return Finding{
		Rule: ruleDocument, Severity: Error, Path: p.Path, Message: message,
		File: p.File, Line: p.Line, Column: p.Column,
	}
}

// Problem is the finding in the words of package resource.
func (f Finding) Problem() resource.Problem {
	message := f.Message
	if rule := ruleOf(f.Rule); rule != nil && rule.Overridable {
		message += " (" + f.Rule + ")"
	}
	return resource.Problem{File: f.File, Line: f.Line, Column: f.Column, Path: f.Path, Message: message}
}

// checker is a running Check.
type checker struct {
	own     string
	issuers []*resource.Document
	buckets []*resource.Document
	roles   []*resource.Document
	found   []Finding

	document *resource.Document
}

func (c *checker) add(rule, path, message string) {
	p := c.document.Problem(path, message)
	c.found = append(c.found, Finding{
		Rule: rule, Severity: ruleOf(rule).Severity, Kind: c.document.Kind, Name: c.document.Name,
		Path: p.Path, Message: p.Message, File: p.File, Line: p.Line, Column: p.Column,
	})
}

// issuer checks an Issuer against those before it.
func (c *checker) issuer(before []*resource.Document) {
	i := c.document.Issuer
	if c.own != "" && i.URL == c.own {
		c.add(ruleOwnIssuer, "url", "this is our own issuer: its tokens need no document")
	}
	for _, other := range before {
		if other.Issuer.URL == i.URL && slices.ContainsFunc(i.Audiences, func(a string) bool { return slices.Contains(other.Issuer.Audiences, a) }) {
			c.add(ruleIssuerOverlap, "audiences", "the issuer "+other.Name+" has the same url and one of these audiences")
			break
		}
	}
	for _, audience := range i.Audiences {
		if whose := audienceOfOthers(audience); whose != "" {
			c.add(ruleAudienceOfOthers, "audiences", "tokens with the audience "+audience+" are made for "+whose+", where they could be taken and used here")
		}
	}
}

func (c *checker) role(r *resource.Role) {
	if time.Duration(r.MaxSessionDuration) > longSession {
		c.add(ruleSessionLong, "max_session_duration", "sessions of more than 4 hours: what was true of the caller may not be any more")
	}
	for i, p := range r.Permissions {
		c.lists(i, p)
		c.names(i, p)
	}
}

// named returns the issuers that a name means, one at most, or those of a URL.
func (c *checker) named(name, url string) (found []*resource.Issuer) {
	for _, d := range c.issuers {
		if name != "" && d.Name == name || name == "" && d.Issuer.URL == url {
			found = append(found, d.Issuer)
		}
	}
	return found
}
