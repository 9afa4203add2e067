// Package directory looks people up where they are kept: in the store ([Local]), or in a
// user pool of Amazon Cognito ([Cognito]). Another kind of directory is another file here.
//
// A directory is asked for many at once ([Directory.Lookup]), where each question has an
// answer or an error of its own, or for a page of those that filters let pass
// ([Directory.Search]). It bounds and batches its calls upstream, and holds every answer
// against the question once more: what an upstream makes of a filter is not believed.
//
// It knows nothing of callers, tenants' rights and user ids: front door iam does. It keeps
// nothing: personal data stays where it is.
//
// Layer 2. Start at [Directory].
package directory
