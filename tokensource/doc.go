// Package tokensource obtains service tokens.
//
// Layer 2.
package tokensource
