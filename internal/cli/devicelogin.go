package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/tokensource"
)

const (
	deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"
	// devicePause is between two questions where the issuer says nothing, and by how much it
	// grows when it says slow_down.
	//
	// Source: RFC 8628 §3.2, §3.5.
	devicePause = 5 * time.Second
	// maxDeviceWait ends the waiting whatever the issuer says.
	maxDeviceWait = 30 * time.Minute
	// refreshEarly is how long before its end a token is taken as ended.
	refreshEarly = 30 * time.Second
)

// upstream is a user's login at their own issuer, as it is kept. The tokens are the user's, of
// the issuer's lifetime, and open here what the user's roles do.
type upstream struct {
	Issuer        string    `json:"issuer"`
	ClientID      string    `json:"client_id"`
	TokenEndpoint string    `json:"token_endpoint"`
	Use           string    `json:"use"` // "access" or "id"
	Token         string    `json:"token"`
	RefreshToken  string    `json:"refresh_token,omitempty"`
	ExpiresAt     time.Time `json:"expires_at"`
}

// deviceLogin logs a user in at their own issuer, on any device, and keeps what it gave.
type deviceLogin struct {
	http  *http.Client
	out   io.Writer
	sleep func(ctx context.Context, d time.Duration) error
}

func newDeviceLogin(out io.Writer) *deviceLogin {
	return &deviceLogin{out: out, sleep: sleep, http: &http.Client{
		Timeout: remoteTimeout, Transport: remoteTransport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// choose returns the issuer of that name, or the only one.
//
// Errors: countersign.NotFound, usageError.
func choose(ways iamclient.WaysToLogin, name string) (iamclient.DeviceIssuer, error) {
	var names []string
	for _, d := range ways.Device {
		if d.Name == name {
			return d, nil
		}
		names = append(names, printable(d.Name))
	}
	switch {
	case len(ways.Device) == 0 && name != "":
		return iamclient.DeviceIssuer{}, usageError{"--issuer: no issuer of that name has device_login"}
	case len(ways.Device) == 0:
		return iamclient.DeviceIssuer{}, countersign.NewError(countersign.NotFound, countersign.ReasonObjectUnknown,
			"no issuer of the platform has device_login: name a tenant's with --issuer, or log in by a code (countersign login-code on the server's machine)")
	case name == "" && len(ways.Device) == 1:
		return ways.Device[0], nil
	}
	return iamclient.DeviceIssuer{}, usageError{"--issuer is one of: " + strings.Join(names, ", ")}
}

// endpoints are what discovery says.
type endpoints struct {
	Issuer string `json:"issuer"`
	Device string `json:"device_authorization_endpoint"`
	Token  string `json:"token_endpoint"`
}

// discover asks the issuer. What it says must be of that issuer, and no place in the clear.
//
// Source: OpenID Connect Discovery 1.0 §4; RFC 8414 §3.3.
func (d *deviceLogin) discover(ctx context.Context, issuer string) (endpoints, error) {
	var said endpoints
	if err := egress.CheckURL(issuer); err != nil {
		return said, fmt.Errorf("the issuer's URL: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(issuer, "/")+"/.well-known/openid-configuration", http.NoBody)
	if err != nil {
		return said, fmt.Errorf("make request: %w", err)
	}
	status, err := d.do(r, &said)
	if err != nil {
		return said, err
	}
	if status != http.StatusOK || said.Issuer != issuer || said.Device == "" || said.Token == "" {
		return said, countersign.NewError(countersign.Upstream, countersign.ReasonUpstreamReply,
			printable(issuer)+" does not offer logins from a command line (RFC 8628)")
	}
	return said, errors.Join(egress.CheckURL(said.Device), egress.CheckURL(said.Token))
}

// deviceReply is what both endpoints answer with.
type deviceReply struct {
	DeviceCode      string `json:"device_code"`
	UserCode        string `json:"user_code"`
	VerificationURI string `json:"verification_uri"`
	Complete        string `json:"verification_uri_complete"`
	ExpiresIn       int64  `json:"expires_in"`
	Interval        int64  `json:"interval"`

	AccessToken  string `json:"access_token"`
	IDToken      string `json:"id_token"`
	RefreshToken string `json:"refresh_token"`
	Error        string `json:"error"`
}

// run takes a user through the login.
//
// Source: RFC 8628 §3.
func (d *deviceLogin) run(ctx context.Context, at iamclient.DeviceIssuer) (upstream, error) {
	ctx, cancel := context.WithTimeout(ctx, maxDeviceWait)
	defer cancel()
	where, err := d.discover(ctx, at.Issuer)
	if err != nil {
		return upstream{}, err
	}
	form := url.Values{"client_id": {at.ClientID}}
	if len(at.Scopes) > 0 {
		form.Set("scope", strings.Join(at.Scopes, " "))
	}
	begun, err := d.post(ctx, where.Device, form)
	if err != nil {
		return upstream{}, err
	}
	if begun.DeviceCode == "" || begun.UserCode == "" || begun.VerificationURI == "" {
		return upstream{}, refusedUpstream(begun.Error)
	}
	open := begun.VerificationURI
	if begun.Complete != "" {
		open = begun.Complete
	}
	_, _ = fmt.Fprintf(d.out, "open %s\nand confirm the code %s\n", printable(open), printable(begun.UserCode))
	in := upstream{Issuer: at.Issuer, ClientID: at.ClientID, TokenEndpoint: where.Token, Use: at.Token}
	return in, d.await(ctx, &in, begun)
}

// await asks for the token until the user has decided.
//
// Source: RFC 8628 §3.4, §3.5.
func (d *deviceLogin) await(ctx context.Context, in *upstream, begun deviceReply) error {
	pause := devicePause
	if begun.Interval > 0 {
		pause = time.Duration(min(begun.Interval, 60)) * time.Second
	}
	for {
		if err := d.sleep(ctx, pause); err != nil {
			return countersign.WrapError(countersign.Expired, "", "nobody confirmed the code in time", err)
		}
		said, err := d.post(ctx, in.TokenEndpoint, url.Values{"grant_type": {deviceGrant}, "device_code": {begun.DeviceCode}, "client_id": {in.ClientID}})
		switch {
		case err != nil && ctx.Err() == nil && errors.Is(err, countersign.Unavailable):
			pause *= 2 // a network that is away for a moment ends nothing: RFC 8628 §3.5
		case err != nil:
			return err
		case said.Error == "authorization_pending":
		case said.Error == "slow_down":
			pause += devicePause
		case said.Error == "access_denied":
			return countersign.NewError(countersign.Denied, "", "the login was refused there")
		case said.Error == "expired_token":
			return countersign.NewError(countersign.Expired, "", "nobody confirmed the code in time")
		default:
			return in.take(said)
		}
	}
}

// take keeps the tokens of an answer.
func (u *upstream) take(said deviceReply) error {
	token := said.AccessToken
	if u.Use == "id" {
		token = said.IDToken
	}
	if said.Error != "" || token == "" {
		return refusedUpstream(said.Error)
	}
	u.Token = token
	if said.RefreshToken != "" { // it may rotate
		u.RefreshToken = said.RefreshToken
	}
	life := time.Duration(min(max(said.ExpiresIn, 60), 86400)) * time.Second
	u.ExpiresAt = time.Now().Add(life).UTC().Truncate(time.Second)
	return nil
}

func refusedUpstream(code string) error {
	return countersign.NewError(countersign.Upstream, countersign.ReasonUpstreamReply, "the issuer gave no token: "+printable(code))
}

func (d *deviceLogin) post(ctx context.Context, to string, form url.Values) (said deviceReply, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return said, fmt.Errorf("make request: %w", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	status, err := d.do(r, &said)
	if err == nil && status != http.StatusOK && said.Error == "" {
		said.Error = fmt.Sprintf("HTTP %d", status)
	}
	return said, err
}

func (d *deviceLogin) do(r *http.Request, into any) (status int, err error) {
	r.Header.Set("Accept", "application/json")
	response, err := d.http.Do(r)
	if err != nil {
		return 0, countersign.WrapError(countersign.Unavailable, countersign.ReasonUpstreamUnavailable, "no answer from "+printable(r.URL.Host), err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 256<<10))
	if err == nil && slices.Contains([]int{http.StatusOK, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden}, response.StatusCode) {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		return 0, countersign.WrapError(countersign.Upstream, countersign.ReasonUpstreamReply, printable(r.URL.Host)+" does not answer as RFC 8628 says", err)
	}
	return response.StatusCode, nil
}

// userSource gives the user's token, and gets another one when it ends.
type userSource struct {
	mu      sync.Mutex
	process *Process
	context string
	login   storedLogin
	device  *deviceLogin
}

// Token implements tokensource.Source. The audience is what the issuer gives.
func (u *userSource) Token(ctx context.Context, _ string) (tokensource.Token, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	up := u.login.User
	if time.Until(up.ExpiresAt) < refreshEarly {
		if up.RefreshToken == "" {
			return tokensource.Token{}, countersign.NewError(countersign.Expired, countersign.ReasonTokenExpired, "the login has ended: log in again")
		}
		said, err := u.device.post(ctx, up.TokenEndpoint, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {up.RefreshToken}, "client_id": {up.ClientID}})
		if err != nil {
			return tokensource.Token{}, err
		}
		if err := up.take(said); err != nil {
			return tokensource.Token{}, countersign.WrapError(countersign.Expired, countersign.ReasonTokenExpired, "the login has ended: log in again", err)
		}
		if err := writeLogin(u.process, u.context, u.login); err != nil {
			return tokensource.Token{}, err
		}
	}
	return tokensource.Token{Value: countersign.NewSecret(up.Token), ExpiresAt: up.ExpiresAt}, nil
}
