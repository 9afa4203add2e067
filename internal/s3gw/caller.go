package s3gw

import (
	"slices"

	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/registry"
)

// caller is who asks.
type caller struct {
	proven *authn.S3Caller // nil = nobody signed
}

func (c *caller) anonymous() bool { return c.proven == nil }

// allows reports whether the role, within the session's policy, lets the caller do an action
// with a key or a list of a prefix.
func (c *caller) allows(action, bucket, key string) bool {
	return c.proven != nil && action != "" && c.proven.Allow(action, bucket, key)
}

// opens reports whether a bucket is there for the caller at all.
func (c *caller) opens(b *registry.Bucket) bool {
	if c.proven == nil {
		return b.Anonymous
	}
	return b.OpenTo(c.proven.Role)
}

// buckets are those that the caller's rights are about, in order.
func (c *caller) buckets() []string {
	if c.proven == nil {
		return nil
	}
	return c.proven.Buckets()
}

// knows reports whether the caller has any right in a bucket (RULES F5).
func (c *caller) knows(bucket string) bool { return slices.Contains(c.buckets(), bucket) }

// listsIn reports whether the caller may list anything of a bucket.
func (c *caller) listsIn(bucket string) bool { return c.proven != nil && c.proven.ListsIn(bucket) }

// payload is what the caller signed for the body: a hash, or the word for how it is sent. It
// may be in the query.
func (c *caller) payload() string {
	if c.proven == nil {
		return ""
	}
	return c.proven.Signed().PayloadHash
}

// identity is what the caller is limited by: the proven pair, or the service of an access
// key.
func (c *caller) identity() identity {
	if key := c.proven.AccessKey; key != nil {
		return identity{subject: key.Service}
	}
	s := c.proven.Session
	return identity{s.Issuer, s.Subject}
}

// describe writes the caller into an event.
func (c *caller) describe(event *audit.Event) {
	if c.proven == nil {
		event.Proof = "anonymous"
		return
	}
	event.Role = c.proven.Role.Name
	if key := c.proven.AccessKey; key != nil {
		event.Proof, event.Session = "access_key", key.ID
		event.Service, event.ServiceUID = key.Service, key.ServiceUID
		return
	}
	s := c.proven.Session
	event.Proof, event.Session = "session", s.AccessKeyID
	event.Service, event.ServiceUID = s.Service, s.ServiceUID
	if s.Service == "" {
		event.UserIssuer, event.User = s.Issuer, s.Subject
	}
}
