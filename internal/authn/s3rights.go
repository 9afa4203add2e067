package authn

import "slices"

// Buckets returns the names of the buckets that the caller has any right in, in order. That
// one of them is there it does not say.
func (c *S3Caller) Buckets() []string {
	return c.permissions.BucketsWithin(c.policy)
}

// ListsIn reports whether the caller may list anything in a bucket: who may is told whether
// it is there (RULES F5).
func (c *S3Caller) ListsIn(bucket string) bool {
	for i := range c.permissions {
		p := &c.permissions[i]
		if p.Bucket != bucket || !slices.Contains(p.Actions, "list_bucket") {
			continue
		}
		for _, prefix := range p.Prefixes {
			if c.Allow("list_bucket", bucket, prefix) {
				return true
			}
		}
	}
	return false
}
