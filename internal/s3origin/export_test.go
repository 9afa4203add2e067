package s3origin

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/s3api"
)

// SetTimeouts changes how long the origin waits.
func (o *Origin) SetTimeouts(header, stall time.Duration) {
	o.headerTimeout, o.stallTimeout = header, stall
}

// SetPatience changes how long a slow answer is waited for.
func (o *Origin) SetPatience(patience time.Duration) { o.patience = patience }

// CutPrefix, CheckPrefix and CheckKey are what their names say.
var (
	CutPrefix   = cutPrefix
	CheckPrefix = checkPrefix
	CheckKey    = checkKey
)

// MaxOrigins bounds a pool.
const MaxOrigins = maxOrigins

// Ambient returns the pool's own credentials.
func (p *Pool) Ambient() Credentials { return p.ambient }

// Settle waits until no renewal runs.
func (p *Pool) Settle(ctx context.Context) error {
	p.ambient.mu.Lock()
	running := p.ambient.running
	p.ambient.mu.Unlock()
	if running == nil {
		return nil
	}
	select {
	case <-running.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Len is how many origins a pool keeps.
func (p *Pool) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.order.Len()
}

// RewriteList is what becomes of an answer to ListObjectsV2, below team/ of documents.
func RewriteList(answer string) (string, error) {
	o := &Origin{store: Store{Bucket: "real-bucket", Prefix: "team/"}, bucket: "documents"}
	op := operations[s3api.ListObjectsV2]
	c := &call{op: op, request: &s3api.Request{Operation: s3api.ListObjectsV2}}
	body, err := o.rewrite(c, &exchange{Response: &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(answer))}})
	if err != nil {
		return "", err
	}
	return body.String(), nil
}
