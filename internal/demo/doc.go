// Package demo plays the product's story on one machine: it starts Countersign on
// the embedded default, a foreign issuer for the users, and the services of the
// story, and makes calls that must succeed and calls that must be refused, on real
// HTTP with real keys.
//
// The services (services.go) use the public SDK only: they are written as a user
// would write them. The story (story.go) is a table of steps with the outcome that
// each must have; one that ends otherwise fails the run.
//
// Layer 9.
package demo
