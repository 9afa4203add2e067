package routepolicy

import (
	"math"
	"strings"

	"github.com/countersign/countersign/pattern"
)

// index finds the rules whose method and path match: one tree of segments for each method.
type index map[string]*node

// node is a place in a tree.
type node struct {
	// What the next segment may be.
	literals map[string]*node
	star     *node // * or {name}
	patterns []patternEdge

	here leaf // rules whose path ends here
	// What the whole rest may be.
	any   leaf // **
	tails []tailEdge
}

type patternEdge struct {
	text    string
	pattern pattern.Pattern
	next    *node
}

type tailEdge struct {
	pattern *pattern.Pattern
	rules   leaf
}

// leaf holds rules in their order. Those that name their services are found by the
// service.
type leaf struct {
	byService map[string][]candidate
	rest      []candidate
}

// candidate is a rule, by one of its paths.
type candidate struct {
	rule *rule
	path *pathPattern
}

// add puts a rule into the tree.
func (x index) add(method string, c candidate) {
	n := x[method]
	if n == nil {
		n = &node{}
		x[method] = n
	}
	for _, segment := range c.path.segments {
		n = n.child(segment)
	}
	switch {
	case c.path.tail == nil:
		n.here.add(c)
	case c.path.tail.Everything():
		n.any.add(c)
	default:
		n.tails = append(n.tails, tailEdge{pattern: c.path.tail})
		n.tails[len(n.tails)-1].rules.add(c)
	}
}

func (n *node) child(segment string) *node {
	switch {
	case segment == "*":
		if n.star == nil {
			n.star = &node{}
		}
		return n.star
	case strings.Contains(segment, "*"):
		for _, edge := range n.patterns {
			if edge.text == segment {
				return edge.next
			}
		}
		compiled, _ := pattern.Parse(segment) // a part of a pattern without ** is one
		n.patterns = append(n.patterns, patternEdge{segment, compiled, &node{}})
		return n.patterns[len(n.patterns)-1].next
	}
	next := n.literals[segment]
	if next == nil {
		if n.literals == nil {
			n.literals = make(map[string]*node)
		}
		next = &node{}
		n.literals[segment] = next
	}
	return next
}

func (l *leaf) add(c candidate) {
	if c.rule.serviceNames == nil {
		l.rest = append(l.rest, c)
		return
	}
	if l.byService == nil {
		l.byService = make(map[string][]candidate)
	}
	for _, name := range c.rule.serviceNames {
		l.byService[name] = append(l.byService[name], c)
	}
}

// search looks for the first rule that allows a call.
type search struct {
	call  *call
	best  *rule
	order int // of best
}

// find returns the first rule, in the order of the policies' names and of their rules,
// that allows the call; nil when there is none.
func (x index) find(c *call) *rule {
	root := x[c.method]
	if root == nil {
		return nil
	}
	s := search{call: c, order: math.MaxInt}
	s.walk(root, c.path[1:])
	return s.best
}

// walk visits what matches the rest of the path, which starts behind a slash.
func (s *search) walk(n *node, rest string) {
	s.try(&n.any)
	for i := range n.tails {
		if n.tails[i].pattern.Match(rest) {
			s.try(&n.tails[i].rules)
		}
	}
	segment, rest, more := strings.Cut(rest, "/")
	if next := n.literals[segment]; next != nil {
		s.step(next, rest, more)
	}
	if n.star != nil && pattern.IsStar(segment) {
		s.step(n.star, rest, more)
	}
	for i := range n.patterns {
		if n.patterns[i].pattern.Match(segment) {
			s.step(n.patterns[i].next, rest, more)
		}
	}
}

func (s *search) step(n *node, rest string, more bool) {
	if more {
		s.walk(n, rest)
		return
	}
	s.try(&n.here)
}

func (s *search) try(l *leaf) {
	if name := s.call.principal.Service.Name; name != "" && l.byService != nil {
		s.among(l.byService[name])
	}
	s.among(l.rest)
}

// among takes the first rule of the list that allows, if it is before the best so far.
func (s *search) among(list []candidate) {
	for i := range list {
		c := &list[i]
		if c.rule.order >= s.order {
			return
		}
		if c.rule.allows(s.call, c.path) {
			s.best, s.order = c.rule, c.rule.order
			return
		}
	}
}
