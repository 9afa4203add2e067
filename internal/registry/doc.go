// Package registry is the in-memory view.
//
// Layer 4.
package registry
