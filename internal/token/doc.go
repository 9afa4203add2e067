// Package token mints service tokens.
//
// Layer 3.
package token
