// Package telemetry makes the logger and the metrics of a process.
//
// [NewLogger] writes JSON lines and takes out what looks like a secret, as the last of
// several nets: secrets are countersign.Secret, which prints nothing, and nobody logs
// headers or bodies. [New] makes the Prometheus registry that /metrics shows; its
// labels are bounded words of ours (listener, mux pattern, reason) and never ids, names
// or anything that a caller chose.
//
// It decides nothing, opens no connection and starts no goroutine. Traces are not here.
//
// Layer 1.
package telemetry
