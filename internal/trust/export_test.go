package trust

import "net/http"

// SetClient replaces the client for AWS's own endpoints, which no test can reach.
func (a *AWSVerifier) SetClient(c *http.Client) { a.client = c }

// Documents returns how many verifiers the pool keeps.
func (v *Verifier) Documents() int {
	v.pool.mu.Lock()
	defer v.pool.mu.Unlock()
	return len(v.pool.byUID)
}

// DecodeClaims is what makes values of verified claims.
var DecodeClaims = decodeClaims
