package iamclient

import (
	"context"
	"net/http"
	"time"
)

// The states of a [Key].
const (
	KeyNext    = "next"    // published, not used yet
	KeyActive  = "active"  // signs
	KeyRetired = "retired" // signs no more, still published for what it signed
	KeyEnded   = "ended"   // not published any more
)

// Key is a signing key, without its private half.
type Key struct {
	KID       string `json:"kid"`
	Purpose   string `json:"purpose"`
	Algorithm string `json:"algorithm"`
	// State is [KeyNext], [KeyActive], [KeyRetired] or [KeyEnded].
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	PublishAt time.Time `json:"publish_at"`
	UseFrom   time.Time `json:"use_from"`
	UseUntil  time.Time `json:"use_until,omitzero"`
	KeepUntil time.Time `json:"keep_until,omitzero"`
}

// KeyList is every key that is kept, by purpose, oldest first.
type KeyList struct {
	Items []Key `json:"items"`
}

// RotateKeys is the body of POST /admin/keys/rotate.
type RotateKeys struct {
	// Purpose whose next key takes over; "" = "token".
	Purpose string `json:"purpose,omitempty"`
	// Compromised is a key that is dropped at once, everywhere, with all that it signed.
	Compromised string `json:"compromised,omitempty"`
}

// RotatedKeys answers [RotateKeys]: the keys that were made.
type RotatedKeys struct {
	Created []Key `json:"created"`
}

// RewrappedKeys answers POST /admin/keys/rewrap.
type RewrappedKeys struct {
	// Count of records that are sealed under the current master key now.
	Count int `json:"count"`
}

// Keys lists the signing keys: GET /admin/keys.
//
// Errors: as [Client].
func (c *Client) Keys(ctx context.Context) (KeyList, error) {
	var out KeyList
	err := c.do(ctx, call{method: http.MethodGet, path: "/admin/keys"}, &out)
	return out, err
}

// RotateKeys makes a new key: in good order, or at once for one that is compromised.
//
// Errors: countersign.Invalid, NotFound (no such key), and as [Client].
func (c *Client) RotateKeys(ctx context.Context, in RotateKeys) (RotatedKeys, error) {
	var out RotatedKeys
	err := c.do(ctx, call{method: http.MethodPost, path: "/admin/keys/rotate", body: in}, &out)
	return out, err
}

// RewrapKeys seals every record under the current master key.
//
// Errors: as [Client].
func (c *Client) RewrapKeys(ctx context.Context) (RewrappedKeys, error) {
	var out RewrappedKeys
	err := c.do(ctx, call{method: http.MethodPost, path: "/admin/keys/rewrap", body: struct{}{}}, &out)
	return out, err
}
