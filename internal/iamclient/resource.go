package iamclient

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// File is one file of resource documents: YAML or JSON, several documents each.
type File struct {
	// Name is what problems call it.
	Name    string `json:"name"`
	Content string `json:"content"`
}

// Apply is the body of POST /admin/resources.
type Apply struct {
	Files []File `json:"files"`
	// Owner is the label that every object gets which is written; objects of another
	// owner are refused. "" = none.
	Owner string `json:"owner,omitempty"`
	// Prune deletes the objects of Owner that the files don't name; at most MaxPrune of
	// them (0 = 10, -1 = any number).
	Prune    bool `json:"prune,omitempty"`
	MaxPrune int  `json:"max_prune,omitempty"`
	// DryRun reports what would be done, and does nothing.
	DryRun bool `json:"dry_run,omitempty"`
}

// The actions of [Applied].
const (
	Created   = "created"
	Changed   = "changed"
	Unchanged = "unchanged"
	Pruned    = "pruned"
)

// Applied is what became of one object.
type Applied struct {
	Kind   string `json:"kind"`
	Name   string `json:"name"`
	Tenant string `json:"tenant,omitempty"`
	Owner  string `json:"owner,omitempty"`
	// Action is [Created], [Changed], [Unchanged] or [Pruned].
	Action   string `json:"action"`
	Revision int64  `json:"revision"`
	// File and Line are where the document starts; left out for a pruned object.
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
	// Before and After are canonical YAML; left out where there was or is nothing.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Warnings are what is dangerous in the document or can't work.
	Warnings []ResourceWarning `json:"warnings,omitempty"`
}

// AppliedList answers [Apply]: in the order of the documents, what is pruned behind.
type AppliedList struct {
	Items []Applied `json:"items"`
}

// ResourceProblem is one thing that is wrong with a document: a member of "problems" in
// the problem document of a refused [Apply].
type ResourceProblem struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	// Path is the field's, as in trust[0].oidc.issuer.
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	// Nearest is the known name that is most like an unknown one.
	Nearest string `json:"nearest,omitempty"`
}

// ResourceWarning is a problem that a rule of countersign check has found in a document
// which is taken all the same.
type ResourceWarning struct {
	Rule string `json:"rule"`
	ResourceProblem
}

// Object is one resource of any kind.
type Object struct {
	Kind      string    `json:"kind"`
	Name      string    `json:"name"`
	UID       string    `json:"uid"`
	Tenant    string    `json:"tenant,omitempty"`
	Owner     string    `json:"owner,omitempty"`
	Revision  int64     `json:"revision"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
	// Document is canonical YAML that can be applied again.
	Document string `json:"document"`
	// State is that of an access key: [AccessKeyLive] and so on; "" for other kinds.
	State string `json:"state,omitempty"`
}

// ObjectList is one page of objects in order of name.
type ObjectList struct {
	Items []Object `json:"items"`
	// Next asks for the page after this one; "" = this is the last.
	Next string `json:"next"`
}

// Apply makes documents hold, all or none of them.
//
// Errors: countersign.Invalid ([*ProblemsError] in the chain when it is the documents), Denied,
// Conflict, and as [Client].
func (c *Client) Apply(ctx context.Context, in Apply) (AppliedList, error) {
	var out AppliedList
	err := c.do(ctx, call{method: http.MethodPost, path: "/admin/resources", body: in}, &out)
	return out, err
}

// Objects lists the objects of a kind: GET /admin/resources/KIND.
//
// Errors: countersign.Invalid (no such kind), and as [Client].
func (c *Client) Objects(ctx context.Context, kind string, page ServicePage) (ObjectList, error) {
	query := url.Values{}
	if page.After != "" {
		query.Set("after", page.After)
	}
	if page.Limit != 0 {
		query.Set("limit", strconv.Itoa(page.Limit))
	}
	var out ObjectList
	err := c.do(ctx, call{method: http.MethodGet, path: "/admin/resources/" + url.PathEscape(kind), query: query}, &out)
	return out, err
}

// Object returns one object: GET /admin/resources/KIND/NAME.
//
// Errors: countersign.NotFound, Invalid (no such kind), and as [Client].
func (c *Client) Object(ctx context.Context, kind, name string) (Object, error) {
	var out Object
	err := c.do(ctx, call{method: http.MethodGet, path: objectPath(kind, name)}, &out)
	return out, err
}

// DeleteObject removes one object: DELETE /admin/resources/KIND/NAME. Revision is the one
// that is meant, or [AnyRevision].
//
// Errors: countersign.NotFound, Conflict (another revision), Denied, and as [Client].
func (c *Client) DeleteObject(ctx context.Context, kind, name string, revision int64) error {
	return c.do(ctx, call{method: http.MethodDelete, path: objectPath(kind, name), ifMatch: ifMatch(revision)}, nil)
}

func objectPath(kind, name string) string {
	return "/admin/resources/" + url.PathEscape(kind) + "/" + url.PathEscape(name)
}
