package lint

import (
	"fmt"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/internal/resource"
)

// bucket checks a Bucket against those before it.
func (c *checker) bucket(b *resource.Bucket, before []*resource.Document) {
	if b.Anonymous {
		c.add(ruleBucketPublic, "anonymous", "anybody who reaches the gateway may read its objects, as long as they know their keys")
	}
	if o := b.Origin.S3; o != nil {
		if u, err := url.Parse(o.Endpoint); err == nil && u.Scheme == "http" && !egress.IsLoopbackHost(u.Hostname()) {
			c.add(rulePlainOrigin, "origin.s3.endpoint", "objects go to the origin and come from it in the clear, for whoever is in between")
		}
	}
	for _, other := range before {
		if overlap(&b.Origin, &other.Bucket.Origin) {
			c.add(ruleBucketOverlap, "origin", "the bucket "+other.Name+" has the same objects, or some of them: who may use one gets at the other's")
			break
		}
	}
	for i, name := range b.AllowedRoles {
		role := documentOf(c.roles, name)
		if role != nil && !slices.ContainsFunc(role.Role.Permissions, func(p resource.Permission) bool {
			return p.Bucket == c.document.Name || strings.Contains(p.Bucket, "{")
		}) {
			c.add(ruleBucketUnused, fmt.Sprintf("allowed_roles[%d]", i), "the role's permissions do not name this bucket, so that it gets nowhere in it")
		}
	}
}

// names finds permissions for a bucket that is not there. One whose name is a template is
// another one for each caller; those of a role that brokers are of the real cloud.
func (c *checker) names(index int, p resource.Permission) {
	if c.buckets != nil && c.document.Role.Broker == nil && countersign.ValidName(p.Bucket) && documentOf(c.buckets, p.Bucket) == nil {
		c.add(ruleBucketMissing, fmt.Sprintf("permissions[%d].bucket", index), "there is no Bucket of this name: who makes one decides what the role gets at")
	}
}

func documentOf(list []*resource.Document, name string) *resource.Document {
	for _, d := range list {
		if d.Name == name {
			return d
		}
	}
	return nil
}

// overlap reports whether an object of one origin can be one of the other's too, as far as
// what is written tells.
func overlap(a, b *resource.Origin) bool {
	if a.Dir != "" && b.Dir != "" {
		return within(path.Clean(a.Dir)+"/", path.Clean(b.Dir)+"/")
	}
	if a.S3 == nil || b.S3 == nil || !strings.EqualFold(a.S3.Endpoint, b.S3.Endpoint) || a.S3.Bucket != b.S3.Bucket {
		return false
	}
	return within(a.S3.Prefix, b.S3.Prefix)
}

// within reports whether one of two prefixes begins with the other.
func within(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }
