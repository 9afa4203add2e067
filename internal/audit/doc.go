// Package audit keeps one event per decision.
//
// Layer 2.
package audit
