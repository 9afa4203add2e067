// Package cli is the command line: it parses arguments, calls the server's API or
// the SDK, and prints. One file per command. It decides nothing by itself and reads
// no database: even on the server's own machine it goes through the Unix socket.
//
// Exit codes: 0 ok, 1 refused or failed, 2 wrong usage. Data goes to stdout, what it
// says about the doing of it to stderr. A secret or token that is an argument's
// value can also be "-": it is read from stdin.
//
// Layer 9.
package cli
