// Command admin-bff is the backend of a small administration page. It shows who acts in
// whose name:
//
//   - what an administrator does (tenants) is done with the administrator's own token, which
//     it passes on beside its own: the IAM API decides by the administrator's roles, and
//     records both;
//   - what no user is part of (looking people up in the directory) it asks for with its own
//     machine token and the scope s2s:internal.
//
// See README.md for how to run it.
package main
