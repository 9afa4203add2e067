package s3gw

import (
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

// Row is what tests see of a row of the table.
type Row struct {
	Name             s3api.Operation
	Method, Selector string
	Bucket, Object   bool
	Copies           bool
	Action, Version  string
	// Body: takes one; Document: of XML.
	Body, Document bool
	Headers        map[string]string // name to the action that it needs
}

// Rows returns the table of operations.
func Rows() []Row {
	rows := make([]Row, 0, len(operations))
	for i := range operations {
		o := &operations[i]
		row := Row{
			Name: o.name, Method: o.method, Selector: o.selector, Bucket: o.shape == bucket, Object: o.shape == object, Copies: o.copies,
			Action: o.action, Version: o.versionAction, Body: o.body != noBody, Document: o.body == document || o.body == optionalDocument,
			Headers: make(map[string]string),
		}
		for name, group := range o.takes {
			row.Headers[name] = group.action
		}
		rows = append(rows, row)
	}
	return rows
}

// Resolved is what a request is about.
type Resolved struct {
	Operation                              s3api.Operation
	Bucket, Key, Prefix                    string
	SourceBucket, SourceKey, SourceVersion string
}

// Resolve parses a request.
func Resolve(r *http.Request, domain string) (Resolved, error) {
	t, err := resolve(r, domain)
	found := Resolved{Bucket: t.bucket, Key: t.key, Prefix: t.query.Get("prefix"), SourceBucket: t.copy.bucket, SourceKey: t.copy.key, SourceVersion: t.copy.versionID}
	if t.operation != nil {
		found.Operation = t.operation.name
	}
	return found, err
}

// CheckDocument and ParseCopySource are as they are.
var CheckDocument = checkDocument

// TimedBody is how a body is read whose client is waited for by a clock.
func TimedBody(body io.ReadCloser, now func() time.Time) io.Reader {
	e := &exchange{Gateway: &Gateway{cfg: Config{Now: func() time.Time { return time.Time{} }}}}
	control := http.NewResponseController(httptest.NewRecorder())
	return &idleReader{ReadCloser: body, control: control, idle: defaultReadIdle, now: now, watch: e.watch()}
}

// WireErrorOf returns the status and the code of an error.
func WireErrorOf(err error) (int, string) {
	wire := wireErrorOf(err)
	return wire.status, wire.code
}

// WireErrors are the codes that have a row.
func WireErrors() map[countersign.Code]bool {
	known := make(map[countersign.Code]bool)
	for code := range wireErrors {
		known[code] = true
	}
	return known
}

// WatchEvery sets how often a write that is under way is decided anew.
func (g *Gateway) WatchEvery(every time.Duration) { g.every = every }
