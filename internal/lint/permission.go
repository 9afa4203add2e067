package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/resource"
)

// lists finds prefixes of single keys in a permission that is to list.
func (c *checker) lists(index int, p resource.Permission) {
	list := slices.ContainsFunc(policy.S3Actions(), func(a policy.S3Action) bool { return a.List && slices.Contains(p.Actions, a.Name) })
	if !list {
		return
	}
	for _, prefix := range p.Prefixes {
		if prefix != "" && !strings.HasSuffix(prefix, "/") {
			c.add(ruleListPrefix, fmt.Sprintf("permissions[%d].prefixes", index), "one of them does not end in / and is one key, which can't be listed")
			return
		}
	}
}
