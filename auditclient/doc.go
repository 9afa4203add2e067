// Package auditclient reports what a receiving service decided to Countersign, so that
// its audit log, call graph and explain see calls that were verified far from it:
//
//	recorder, err := auditclient.New(auditclient.Config{URL: "https://auth.example.com", Source: source})
//	defer recorder.Close(ctx)
//	mux.Handle("/", middleware.Chain(handler, middleware.Authenticate(verifier, middleware.WithRecorder(recorder))))
//
// [Client] is a [countersign.Recorder]. Denials are reported one by one within about a
// second, allowed calls as counts per minute of the same caller, method, route and
// rule. Reports go to POST /api/iam/v1/system/audit/events with a token of Source for
// the audience iam-service and the scope audit:write.
//
// # Bounds
//
//	denials    10,000 wait in memory; beyond half of that, those of nobody (no verified
//	           caller) are counted like allowed calls, so that a flood of strangers does
//	           not push out the rest
//	counts     10,000 different ones a minute
//	a batch    500 events and 256 KiB; a batch keeps its id when it is sent again
//	the spool  64 MiB on disk, each file counted as at least 4 KiB
//
// What finds no room is dropped and counted, and the counts are reported as events of
// their own with the reason reports_dropped.
//
// # Outages
//
// A batch that can't be sent is kept and sent again, the oldest first, after 1 second to
// 1 minute or as long as Retry-After says. With Config.SpoolDir batches wait on disk
// (0600, synced) and survive a restart; without it in memory, and Close loses them. A
// batch that the server finds malformed is dropped: it would block all others.
//
// # What it does not do
//
// It decides nothing, never blocks a request, and never reports tokens or paths.
//
// Layer 3.
package auditclient
