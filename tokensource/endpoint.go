package tokensource

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

const (
	// maxAnswerBytes bounds the token endpoint's answer.
	maxAnswerBytes = 64 << 10
	// maxSecretBytes bounds a secret file.
	maxSecretBytes = 4 << 10
)

// endpoint is a checked ClientCredentials: how to ask for a token.
type endpoint struct {
	url        string
	clientID   string
	secret     countersign.Secret
	secretFile string
	keyFile    string
	keyID      string
	issuer     string
	scope      string
	client     *http.Client
	ownsClient bool
	now        func() time.Time
}

func newEndpoint(c *ClientCredentials) (endpoint, error) {
	p := endpoint{
		url: c.TokenURL, clientID: c.ClientID, secret: c.ClientSecret, secretFile: c.ClientSecretFile,
		keyFile: c.PrivateKeyFile, keyID: c.KeyID, issuer: c.Issuer, now: c.Now,
	}
	if p.now == nil {
		p.now = time.Now
	}
	if err := egress.CheckURL(c.TokenURL); err != nil {
		return p, invalid("TokenURL: " + countersign.MessageOf(err))
	}
	proofs := 0
	for _, given := range []bool{!c.ClientSecret.IsZero(), c.ClientSecretFile != "", c.PrivateKeyFile != ""} {
		if given {
			proofs++
		}
	}
	switch {
	case c.ClientID == "":
		return p, invalid("ClientID is required")
	case proofs != 1:
		return p, invalid("one of ClientSecret, ClientSecretFile and PrivateKeyFile is required")
	case (c.PrivateKeyFile == "") != (c.Issuer == ""):
		return p, invalid("PrivateKeyFile and Issuer belong together")
	}
	scopes := slices.Clone(c.Scopes)
	slices.Sort(scopes)
	scopes = slices.Compact(scopes)
	for _, scope := range scopes {
		if scope == "" || strings.ContainsAny(scope, " \t\r\n") {
			return p, invalid("Scopes must be single words")
		}
	}
	p.scope = strings.Join(scopes, " ")
	p.client, p.ownsClient = egress.ClientOr(c.HTTPClient, egress.Config{
		AllowPrivateAddresses: true, Timeout: fetchTimeout, MaxBodyBytes: maxAnswerBytes,
	})
	return p, nil
}

func invalid(msg string) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, "tokensource: "+msg)
}

// grant asks for one token.
//
// Source: RFC 6749 §4.4.2, §2.3.1; RFC 7523 §2.2.
func (p *endpoint) grant(ctx context.Context, audience string) (grant, error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	var secret countersign.Secret
	var err error
	if p.keyFile == "" {
		secret, err = p.clientSecret()
	} else {
		var signed string
		signed, err = p.assertion()
		form.Set("client_assertion_type", assertionType)
		form.Set("client_assertion", signed)
	}
	if err != nil {
		return grant{}, err
	}
	if audience != "" {
		form.Set("audience", audience)
	}
	if p.scope != "" {
		form.Set("scope", p.scope)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(form.Encode()))
	if err != nil {
		return grant{}, countersign.WrapError(countersign.Internal, "", "build the token request", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if p.keyFile == "" {
		req.SetBasicAuth(url.QueryEscape(p.clientID), url.QueryEscape(secret.Reveal()))
	}
	return p.send(req)
}

// send asks, and reads the answer.
func (p *endpoint) send(req *http.Request) (grant, error) {
	resp, err := p.client.Do(req)
	if err != nil {
		return grant{}, countersign.WrapError(countersign.Upstream, "", "the token endpoint can't be reached", egress.WithoutURL(err))
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if err != nil {
		return grant{}, countersign.WrapError(countersign.Upstream, "", "the token endpoint's answer can't be read", egress.WithoutURL(err))
	}
	if len(body) > maxAnswerBytes {
		return grant{}, countersign.NewError(countersign.Upstream, countersign.ReasonBodyTooLarge, "the token endpoint's answer is too large")
	}
	if resp.StatusCode != http.StatusOK {
		return grant{}, parseRefusal(resp, body, p.now())
	}
	return parseGrant(body)
}

func (p *endpoint) clientSecret() (countersign.Secret, error) {
	if p.secretFile == "" {
		return p.secret, nil
	}
	text, err := readFile(p.secretFile, maxSecretBytes)
	if err != nil {
		return countersign.Secret{}, countersign.WrapError(countersign.Unavailable, "", "the client secret can't be read", err)
	}
	if text == "" {
		return countersign.Secret{}, countersign.NewError(countersign.Unavailable, "", "the client secret file is empty")
	}
	return countersign.NewSecret(text), nil
}

// readFile returns a small text file without the white space around it.
func readFile(path string, limit int64) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return "", err
	}
	if int64(len(data)) > limit {
		return "", fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return strings.TrimSpace(string(data)), nil
}
