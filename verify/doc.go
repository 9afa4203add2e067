// Package verify verifies JSON Web Tokens.
//
// Layer 2.
package verify
