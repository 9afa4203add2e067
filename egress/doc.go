// Package egress is the one HTTP client that fetches what others host: key sets,
// discovery documents, tokens, reports. An attacker who can name a URL, or who owns
// the DNS of one, must not reach the inside of the network through it.
//
// [New] returns a plain *http.Client that
//
//   - looks at the address after DNS resolution, at the moment of dialling, so a name
//     that changes its mind (DNS rebinding) gains nothing. Link-local, metadata,
//     multicast, unspecified, reserved and NAT64 addresses are never dialled;
//     private ones (RFC 1918, CGNAT, ULA, loopback) only with
//     Config.AllowPrivateAddresses. Only a URL whose host is written as a loopback
//     (127.0.0.1, [::1], localhost) may dial loopback without it;
//   - speaks https only, plain http to a host written as a loopback;
//   - follows no redirect: an answer 3xx is an error;
//   - bounds the time of the whole exchange and the size of headers and body: a body
//     over the limit is an error and never cut short;
//   - uses no proxy from the environment, no cookies, no credentials of the URL.
//
// [Get] and [Post] are the two calls that nearly everybody needs. [ClientOr] is for who
// sends a secret to a URL of its own configuration, perhaps through a client of its own.
// [Stream] is the same guard for bodies without a bound, the objects of a store.
//
// It does not cache, does not retry and does not decide which hosts may be asked:
// who calls it compares URLs with its configuration first.
//
// Layer 1.
package egress
