// Package authn proves who calls our own endpoints.
//
// Layer 5.
package authn
