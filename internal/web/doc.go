// Package web is the HTTP plumbing under every front door.
//
// Layer 1.
package web
