package tokensource

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

// userPool is a checked Cognito: how to sign in. The cache has at most one sign-in under
// way, which alone touches refresh and user.
type userPool struct {
	url        string
	clientID   string
	secret     secretOf // of the app client; may be empty
	username   string
	password   secretOf
	tokenUse   string
	client     *http.Client
	ownsClient bool
	now        func() time.Time

	refresh countersign.Secret // the refresh token; zero = none
	user    string             // what the pool calls the account, which may sign in by an alias
}

// secretOf is a secret or the file that it is in.
type secretOf struct {
	value countersign.Secret
	file  string
}

func (s secretOf) given() bool { return !s.value.IsZero() || s.file != "" }

// read returns the secret; what names it in errors.
func (s secretOf) read(what string) (countersign.Secret, error) {
	if s.file == "" {
		return s.value, nil
	}
	text, err := readFile(s.file, maxSecretBytes)
	if err != nil {
		return countersign.Secret{}, countersign.WrapError(countersign.Unavailable, "", "the "+what+" can't be read", err)
	}
	if text == "" {
		return countersign.Secret{}, countersign.NewError(countersign.Unavailable, "", "the "+what+" file is empty")
	}
	return countersign.NewSecret(text), nil
}

// regionWord is what a region can be called; it becomes part of a host.
var regionWord = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]{1,16}){1,3}-[0-9]{1,2}$`)

func (u *userPool) compile(c *Cognito) error {
	*u = userPool{
		url: c.Endpoint, clientID: c.ClientID, username: c.Username, tokenUse: c.TokenUse, now: c.Now,
		secret: secretOf{c.ClientSecret, c.ClientSecretFile}, password: secretOf{c.Password, c.PasswordFile},
	}
	if u.now == nil {
		u.now = time.Now
	}
	if u.tokenUse == "" {
		u.tokenUse = UseID
	}
	switch {
	case u.url == "" && !regionWord.MatchString(c.Region):
		return invalid("Region must be the name of an AWS region")
	case u.url == "" && strings.HasPrefix(c.Region, "cn-"):
		u.url = "https://cognito-idp." + c.Region + ".amazonaws.com.cn/"
	case u.url == "":
		u.url = "https://cognito-idp." + c.Region + ".amazonaws.com/"
	}
	if err := egress.CheckURL(u.url); err != nil {
		return invalid("Endpoint: " + countersign.MessageOf(err))
	}
	switch {
	case u.clientID == "" || u.username == "":
		return invalid("ClientID and Username are required")
	case !u.password.given() || !u.password.value.IsZero() && u.password.file != "":
		return invalid("one of Password and PasswordFile is required")
	case !u.secret.value.IsZero() && u.secret.file != "":
		return invalid("ClientSecret and ClientSecretFile exclude each other")
	case u.tokenUse != UseID && u.tokenUse != UseAccess:
		return invalid("TokenUse must be id or access")
	}
	u.client, u.ownsClient = egress.ClientOr(c.HTTPClient, egress.Config{
		AllowPrivateAddresses: true, Timeout: fetchTimeout, MaxBodyBytes: maxAnswerBytes,
	})
	return nil
}

// signIn goes on by the refresh token, or signs in anew when there is none or when it is
// refused: it has ended, or the account was signed out everywhere.
func (u *userPool) signIn(ctx context.Context) (grant, error) {
	if !u.refresh.IsZero() {
		granted, err := u.authenticate(ctx, "REFRESH_TOKEN_AUTH", u.user, map[string]string{"REFRESH_TOKEN": u.refresh.Reveal()})
		if err == nil || isOutage(err) {
			return granted, err
		}
		u.refresh = countersign.Secret{}
	}
	password, err := u.password.read("password")
	if err != nil {
		return grant{}, err
	}
	return u.authenticate(ctx, "USER_PASSWORD_AUTH", u.username, map[string]string{
		"USERNAME": u.username, "PASSWORD": password.Reveal(),
	})
}

// authenticate runs one flow. user is whom the client's secret is hashed with: for a
// refresh it is the pool's own name of the account, never an alias.
//
// Source: Amazon Cognito API reference, InitiateAuth.
func (u *userPool) authenticate(ctx context.Context, flow, user string, parameters map[string]string) (grant, error) {
	secret, err := u.secret.read("client secret")
	if err != nil {
		return grant{}, err
	}
	if !secret.IsZero() {
		parameters["SECRET_HASH"] = secretHash(secret, user, u.clientID)
	}
	body, err := json.Marshal(map[string]any{"AuthFlow": flow, "ClientId": u.clientID, "AuthParameters": parameters})
	if err != nil {
		return grant{}, countersign.WrapError(countersign.Internal, "", "write the sign-in", err)
	}
	answer, err := u.send(ctx, body)
	if err != nil {
		return grant{}, err
	}
	granted, next, err := parseAuthentication(answer, u.tokenUse)
	if err != nil {
		return grant{}, err
	}
	if !next.refresh.IsZero() { // a refresh brings another one only if the pool rotates them
		u.refresh = next.refresh
	}
	if u.user = next.user; u.user == "" {
		u.user = user
	}
	return granted, nil
}

// secretHash proves the app client.
//
// Source: Amazon Cognito developer guide, "Computing secret hash values".
func secretHash(secret countersign.Secret, user, clientID string) string {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	_, _ = mac.Write([]byte(user + clientID))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// send makes one call of the JSON protocol, which InitiateAuth needs no signature for.
func (u *userPool) send(ctx context.Context, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.url, bytes.NewReader(body))
	if err != nil {
		return nil, countersign.WrapError(countersign.Internal, "", "build the sign-in", egress.WithoutURL(err))
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.1")
	req.Header.Set("X-Amz-Target", "AWSCognitoIdentityProviderService.InitiateAuth")
	resp, err := u.client.Do(req)
	if err != nil {
		return nil, countersign.WrapError(countersign.Upstream, "", "cognito can't be reached", egress.WithoutURL(err))
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	if err != nil {
		return nil, countersign.WrapError(countersign.Upstream, "", "cognito's answer can't be read", egress.WithoutURL(err))
	}
	if len(answer) > maxAnswerBytes {
		return nil, countersign.NewError(countersign.Upstream, countersign.ReasonBodyTooLarge, "cognito's answer is too large")
	}
	if resp.StatusCode != http.StatusOK {
		return nil, parseCognitoRefusal(resp, answer, u.now())
	}
	return answer, nil
}
