// Package server is the composition root: it opens the data folder, the store and
// the keys, wires every package to the next, binds the listeners and runs until it
// is told to stop. routes.go lists every URL that it answers.
//
// It decides nothing about callers; the front doors do. Nothing else builds the
// whole: the serve command, the demo and authtest all come through [New].
//
// Layer 7.
package server
