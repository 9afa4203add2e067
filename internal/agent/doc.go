// Package agent hands temporary credentials and tokens on to programs of any language
// that know nothing of Countersign, on the machine that it runs on.
//
// [Endpoint] is the AWS container-credentials endpoint: what every AWS SDK asks when
// AWS_CONTAINER_CREDENTIALS_FULL_URI is set, and asks again before the credentials end.
// One serves several roles, each at a path of its own. [TokenFile] keeps a fresh token in
// a file for AWS_WEB_IDENTITY_TOKEN_FILE. [Agent] runs both.
//
// # Who may ask (RULES G7)
//
// Whoever knows the value of the Authorization header, which has 128 bits or more and
// stands in a file that its owner alone may read. The listener is a loopback; the Host is
// exactly its address, so that no page of a browser whose name was rebound gets in; what
// has headers of a browser or of a proxy is refused; GET only.
//
// # What it does not do
//
// It keeps no secret on disk but the value of that header and the token in the token
// file. It verifies nothing of what comes in from others yet: that is the sidecar's second
// form.
//
// Layer 7. Entry points: [New], [NewEndpoint].
package agent
