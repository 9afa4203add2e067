// Package admin changes the state.
//
// Layer 5.
package admin
