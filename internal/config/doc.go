// Package config loads the configuration: one YAML file, COUNTERSIGN_… environment
// variables over it, defaults under it.
//
// # What it decides
//
// Which keys there are (keyTable; docs/config.md is held against it), what a value must
// look like, and which combinations are refused: an http issuer, the default issuer or
// plain HTTP off loopback, profiling off loopback (RULES G8). It is strict: an unknown
// key, a key that comes twice, a wrong type and a key that a later version will serve
// are errors with file, line and column, never ignored. No error quotes a value.
//
// An environment variable is the key's path in capitals with "_" between
// (COUNTERSIGN_TOKENS_LIFETIME); lists are separated by commas; a variable that is set
// to nothing gives the default back. ${env:NAME} in a value of the file is replaced once. Paths are
// relative to the file; those of environment variables, and all without a file, to the
// working directory.
//
// # What it does not do
//
// It reads one file and the environment that it is given. It opens no other file, makes
// no folder, binds no port, and knows no resources.
//
// Layer 1.
package config
