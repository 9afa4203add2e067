package s3origin

import (
	"context"

	"github.com/countersign/countersign/sigv4"
)

// Credentials are those of an origin at its store. Safe for concurrent use.
type Credentials interface {
	// Get returns credentials to sign with now. Who has valid ones does not wait.
	//
	// Errors: countersign.Upstream, countersign.Unavailable, countersign.Throttled.
	Get(ctx context.Context) (sigv4.Credentials, error)
	// Refused tells that the store does not take what Get returned: the next Get asks again
	// where they come from.
	Refused(used sigv4.Credentials)
	// Identity is the same text for credentials that may do the same.
	Identity() string
	// Close ends what runs for them.
	Close() error
}
