// Package admin changes the state: it registers services, rotates their secrets,
// disables, enables and deletes them, and revokes tokens. It decides what a service
// may be given (RULES A5 to A7, A9), how many secrets live at once (RULES B3) and
// what becomes of tokens that are out already (RULES A5, E3).
//
// Each change is one transaction together with its audit event, so that neither is
// ever there without the other; after it the registry forgets its view. A refused
// change is an event too. Changes name the revision that they are meant for, so
// that of two administrators at once one is told.
//
// It does not decide who an administrator is (package authn and the front doors do)
// and speaks no protocol. The only place where a client secret leaves it is
// [Credentials], once.
//
// Layer 5.
package admin
