// Package keys keeps the keys.
//
// Layer 2.
package keys
