package trust

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/awssts"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/verify"
)

const (
	// MaxAWSProofAge is how far X-Amz-Date may be from now.
	MaxAWSProofAge = 5 * time.Minute
	// keepSignature is for how long a signature is remembered after its date: as long as any
	// replica could still take it, with room for their clocks.
	keepSignature = 2 * MaxAWSProofAge
	// maxCallers bounds the exchanges with the STS that run at a time.
	maxCallers = 128
)

// AWSProof is a GetCallerIdentity that the caller signed, as the caller hands it over:
// decoded from base64, not read yet. With an empty Body it is the presigned form.
type AWSProof struct {
	URL, Body string
	// Headers is a JSON object of strings.
	Headers string
}

// AWSConfig of an [AWSVerifier].
type AWSConfig struct {
	// ServerID is what X-Countersign-Server-ID must be signed as. Required.
	ServerID string
	// Endpoints are base URLs that are accepted beside AWS's own: exact; http on a loopback
	// only. They may be in a private network.
	Endpoints []string
	// SingleUse remembers signatures over all replicas. Required.
	SingleUse store.SingleUse
	// Revocations is asked for every identity, with the time of its proof; nil = nobody is.
	Revocations verify.RevocationChecker
	// RootCAs are trusted for TLS; nil = the system's.
	RootCAs *x509.CertPool
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// AWSVerifier proves who AWS callers are. Safe for concurrent use.
type AWSVerifier struct {
	serverID string
	once     store.SingleUse
	revoked  verify.RevocationChecker
	now      func() time.Time
	// own are the endpoints of the configuration, by URL.
	own map[string]awssts.Endpoint
	// client is for AWS's own endpoints, ownClient for those of the configuration.
	client, ownClient *http.Client
	// slots are taken by exchanges that run.
	slots chan struct{}
}

// NewAWS returns an AWSVerifier; it calls nobody.
//
// Errors: countersign.Invalid.
func NewAWS(cfg AWSConfig) (*AWSVerifier, error) {
	if !isShort(cfg.ServerID, nil) || !isHeaderValue(cfg.ServerID) || cfg.SingleUse == nil {
		return nil, countersign.NewError(countersign.Invalid, "", "an AWS verifier needs a server id that can be sent, and single use")
	}
	a := &AWSVerifier{
		serverID: cfg.ServerID, once: cfg.SingleUse, revoked: cfg.Revocations, now: cfg.Now, own: make(map[string]awssts.Endpoint),
		client: awssts.NewClient(cfg.RootCAs, false), ownClient: awssts.NewClient(cfg.RootCAs, true),
		slots: make(chan struct{}, maxCallers),
	}
	if a.now == nil {
		a.now = time.Now
	}
	for _, text := range cfg.Endpoints {
		e, err := awssts.ParseEndpoint(text)
		if err != nil {
			return nil, err
		}
		a.own[e.URL] = e
	}
	return a, nil
}

// Close ends idle connections.
//
// Errors: none.
func (a *AWSVerifier) Close() error {
	a.client.CloseIdleConnections()
	a.ownClient.CloseIdleConnections()
	return nil
}

// Verify proves who signed the request: by rebuilding it from its parts, noting its
// signature as used, and asking the STS once. A signature is used even if the STS does not
// answer then. Nothing is remembered of the answer.
//
// Errors: countersign.BadToken, countersign.BadSignature, countersign.Expired,
// countersign.Skewed, countersign.Denied (the caller may not even ask who it is);
// countersign.Throttled and countersign.Upstream when the STS gives no answer that is
// believed; countersign.Unavailable when single use can't be had, or what is revoked is not
// known.
// Source: AWS STS API, GetCallerIdentity.
func (a *AWSVerifier) Verify(ctx context.Context, proof AWSProof) (Identity, error) {
	r, err := parseAWSProof(proof, a.lookup, a.serverID)
	if err != nil {
		return Identity{}, err
	}
	now := a.now()
	if err := r.checkTime(now); err != nil {
		return Identity{}, err
	}
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	default:
		return Identity{}, &countersign.Error{Code: countersign.Throttled, Reason: countersign.ReasonRateLimited, Msg: msgBusy, RetryAfter: time.Second}
	}
	first, err := a.once.UseOnce(ctx, r.singleUseKey(), r.time.Add(keepSignature), now)
	if err != nil {
		return Identity{}, fmt.Errorf("note the use of a signed request: %w", err)
	}
	if !first {
		return Identity{}, refuseBecause(countersign.ReasonProofReplayed, msgReplayed, "used before")
	}
	return a.ask(ctx, r)
}

// ask makes the one call.
func (a *AWSVerifier) ask(ctx context.Context, r *awsRequest) (Identity, error) {
	request, err := r.build(ctx)
	if err != nil {
		return Identity{}, err
	}
	client := a.client
	if _, own := a.own[r.endpoint.URL]; own {
		client = a.ownClient
	}
	result, err := awssts.Call(client, request, "GetCallerIdentity")
	if err != nil {
		return Identity{}, fmt.Errorf("ask AWS who the caller is: %w", err)
	}
	caller, err := readCaller(result, r.endpoint.Partition)
	if err != nil {
		return Identity{}, err
	}
	id := caller.identity()
	if !revocable(id.Subject) {
		return Identity{}, refuseProof("the ARN of the caller is too long")
	}
	id.IssuedAt, id.ExpiresAt = r.time, r.time.Add(MaxAWSProofAge)
	if err := a.checkRevoked(ctx, &id); err != nil {
		return Identity{}, err
	}
	return id, nil
}

// checkRevoked: who is revoked before a time is not proven by what they signed before it
// (RULES E3), as with tokens.
func (a *AWSVerifier) checkRevoked(ctx context.Context, id *Identity) error {
	if a.revoked == nil {
		return nil
	}
	revoked, err := a.revoked.Revoked(ctx, &verify.Token{Issuer: id.Issuer, Subject: id.Subject, IssuedAt: id.IssuedAt})
	if err != nil {
		return fmt.Errorf("look for revocations of an AWS identity: %w", err)
	}
	if revoked {
		return refuseBecause(countersign.ReasonTokenRevoked, msgProof, "revoked")
	}
	return nil
}

// lookup knows the URLs that are asked, byte by byte: so there is no host with another
// case, a port, user information or a dot at its end to be judged.
func (a *AWSVerifier) lookup(url string) (awssts.Endpoint, bool) {
	if e, ok := a.own[url]; ok {
		return e, true
	}
	return awssts.Lookup(url)
}

// checkTime holds the signed time against the clock.
func (r *awsRequest) checkTime(now time.Time) error {
	switch age := now.Sub(r.time); {
	case age < -MaxAWSProofAge:
		return countersign.NewError(countersign.Skewed, countersign.ReasonTokenNotYetValid, msgSkewed)
	case age > MaxAWSProofAge, r.presigned() && age >= r.expires:
		return countersign.NewError(countersign.Expired, countersign.ReasonTokenExpired, msgExpired)
	}
	return nil
}

// singleUseKey goes by the signature: it covers all that was signed, and has one spelling.
func (r *awsRequest) singleUseKey() string {
	sum := sha256.Sum256([]byte("aws-identity\x00" + r.accessKeyID + "\x00" + r.signature))
	return hex.EncodeToString(sum[:])
}

// build makes the request that is sent, of nothing but what was parsed.
func (r *awsRequest) build(ctx context.Context) (*http.Request, error) {
	method, url := http.MethodPost, r.endpoint.URL
	if r.presigned() {
		method, url = http.MethodGet, url+"?"+r.query()
	}
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(r.body))
	if err != nil {
		return nil, refuseProof("the request can't be built again")
	}
	request.Host = r.endpoint.Host
	h := request.Header
	h.Set("User-Agent", "countersign")
	if !r.presigned() {
		h.Set("Content-Type", contentTypes[0])
		h.Set("Authorization", algorithm+" Credential="+r.scope()+", SignedHeaders="+strings.Join(r.signed, ";")+", Signature="+r.signature)
	}
	for name, value := range r.headers {
		h.Set(name, value)
	}
	h.Set("Accept", accept)
	return request, nil
}

// query is the query of the presigned form.
func (r *awsRequest) query() string {
	values := map[string]string{
		"Action": "GetCallerIdentity", "Version": "2011-06-15", "X-Amz-Algorithm": algorithm,
		"X-Amz-Credential": r.scope(), "X-Amz-Date": r.time.Format(amzTime),
		"X-Amz-Expires":        fmt.Sprint(int64(r.expires / time.Second)),
		"X-Amz-Security-Token": r.token.Reveal(), "X-Amz-Signature": r.signature,
		"X-Amz-SignedHeaders": strings.Join(r.signed, ";"),
	}
	var b strings.Builder
	for _, key := range presignedKeys {
		if values[key] == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(key + "=")
		escapeQuery(&b, values[key])
	}
	return b.String()
}
