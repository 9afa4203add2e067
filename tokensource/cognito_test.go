package tokensource_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
)

// signIn is what reached Cognito.
type signIn struct {
	AuthFlow, ClientId string
	AuthParameters     map[string]string
}

// pool is a Cognito user pool with one account. answer may be replaced between calls.
type pool struct {
	mu     sync.Mutex
	asked  []signIn
	answer func(in signIn) (status int, body string)
}

func (p *pool) RoundTrip(r *http.Request) (*http.Response, error) {
	var in signIn
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return nil, err
	}
	if r.Method != "POST" || r.Header.Get("X-Amz-Target") != "AWSCognitoIdentityProviderService.InitiateAuth" ||
		r.Header.Get("Content-Type") != "application/x-amz-json-1.1" || r.Header.Get("Authorization") != "" {
		return nil, fmt.Errorf("not an InitiateAuth: %v", r.Header)
	}
	p.mu.Lock()
	p.asked = append(p.asked, in)
	n, answer := len(p.asked), p.answer
	p.mu.Unlock()
	status, body := 200, p.tokens(n, in)
	if answer != nil {
		status, body = answer(in)
	}
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return response(status, nil, body), nil
}

// tokens are those of the n-th sign-in: the ID token lives an hour, the access token two.
func (p *pool) tokens(n int, in signIn) string {
	now := time.Now().Unix()
	refresh := ""
	if in.AuthFlow == "USER_PASSWORD_AUTH" {
		refresh = fmt.Sprintf(`,"RefreshToken":"refresh-%d"`, n)
	}
	id := jwt(fmt.Sprintf(`{"iat":%d,"exp":%d,"cognito:username":"the-account","n":%d}`, now, now+3600, n))
	access := jwt(fmt.Sprintf(`{"iat":%d,"exp":%d,"username":"the-account","n":%d}`, now, now+7200, n))
	return fmt.Sprintf(`{"AuthenticationResult":{"IdToken":%q,"AccessToken":%q,"ExpiresIn":7200,"TokenType":"Bearer"%s},"ChallengeParameters":{}}`, id, access, refresh)
}

func (p *pool) set(answer func(signIn) (int, string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// flows are those that were asked for.
func (p *pool) flows() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	flows := []string{}
	for _, in := range p.asked {
		flows = append(flows, in.AuthFlow)
	}
	return flows
}

func newAccount(p *pool) *tokensource.Cognito {
	return &tokensource.Cognito{
		Region: "us-east-1", ClientID: "7abcdefghijkl", Username: "service-document-service",
		Password: countersign.NewSecret("password-canary"), HTTPClient: &http.Client{Transport: p},
	}
}

func refuse(status int, kind string) func(signIn) (int, string) {
	return func(signIn) (int, string) { return status, `{"__type":"` + kind + `","message":"no"}` }
}

func TestCognitoSignsIn(t *testing.T) {
	t.Parallel()
	p := &pool{}
	source := newAccount(p)
	source.ClientSecret = countersign.NewSecret("client-secret-canary")
	defer source.Close()
	token := mustToken(t, source, "parse-service")
	if again := mustToken(t, source, "sts"); !again.Value.Equal(token.Value) {
		t.Error("a token for each audience: Cognito knows none")
	}
	mac := hmac.New(sha256.New, []byte("client-secret-canary"))
	mac.Write([]byte("service-document-service7abcdefghijkl"))
	want := []signIn{{"USER_PASSWORD_AUTH", "7abcdefghijkl", map[string]string{
		"USERNAME": "service-document-service", "PASSWORD": "password-canary",
		"SECRET_HASH": base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	}}}
	if diff := cmp.Diff(want, p.asked); diff != "" {
		t.Errorf("sign-ins (-want +got):\n%s", diff)
	}
	if life := time.Until(token.ExpiresAt); life > time.Hour || life < 59*time.Minute || !strings.Contains(claimsOf(t, token), `"cognito:username"`) {
		t.Errorf("not the ID token, or a life of %v", life)
	}
}

func claimsOf(t *testing.T, token tokensource.Token) string {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token.Value.Reveal(), ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(payload)
}

func TestCognitoAccessToken(t *testing.T) {
	t.Parallel()
	source := newAccount(&pool{})
	source.TokenUse = tokensource.UseAccess
	defer source.Close()
	token := mustToken(t, source, "a")
	if life := time.Until(token.ExpiresAt); life <= time.Hour || !strings.Contains(claimsOf(t, token), `"username"`) {
		t.Errorf("not the access token, or a life of %v", life)
	}
}

// The refresh token first; the client's secret is hashed with the pool's own name of the
// account then, which the user name need not be.
func TestCognitoRefreshes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pool{}
		source := newAccount(p)
		source.ClientSecret = countersign.NewSecret("client-secret-canary")
		defer source.Close()
		first := mustToken(t, source, "a")
		time.Sleep(56 * time.Minute)
		if got := mustToken(t, source, "a"); !got.Value.Equal(first.Value) {
			t.Error("a caller who had a valid token waited")
		}
		synctest.Wait()
		if got := mustToken(t, source, "a"); got.Value.Equal(first.Value) {
			t.Error("not refreshed in the background")
		}
		mac := hmac.New(sha256.New, []byte("client-secret-canary"))
		mac.Write([]byte("the-account7abcdefghijkl"))
		want := map[string]string{"REFRESH_TOKEN": "refresh-1", "SECRET_HASH": base64.StdEncoding.EncodeToString(mac.Sum(nil))}
		if diff := cmp.Diff(want, p.asked[1].AuthParameters); diff != "" || p.asked[1].AuthFlow != "REFRESH_TOKEN_AUTH" {
			t.Errorf("%s (-want +got):\n%s", p.asked[1].AuthFlow, diff)
		}
		for range 3 { // it goes on so: a refresh brings no refresh token
			time.Sleep(56 * time.Minute)
			mustToken(t, source, "a")
			synctest.Wait()
		}
		want2 := []string{"USER_PASSWORD_AUTH", "REFRESH_TOKEN_AUTH", "REFRESH_TOKEN_AUTH", "REFRESH_TOKEN_AUTH", "REFRESH_TOKEN_AUTH"}
		if diff := cmp.Diff(want2, p.flows()); diff != "" {
			t.Errorf("flows (-want +got):\n%s", diff)
		}
	})
}

func TestCognitoRotatedRefreshTokens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pool{}
		source := newAccount(p)
		defer source.Close()
		mustToken(t, source, "a")
		p.set(func(in signIn) (int, string) {
			return 200, p.tokens(len(p.flows()), signIn{AuthFlow: "USER_PASSWORD_AUTH"}) // with a refresh token
		})
		for range 2 {
			time.Sleep(61 * time.Minute)
			mustToken(t, source, "a")
		}
		if got := p.asked[2].AuthParameters["REFRESH_TOKEN"]; got != "refresh-2" {
			t.Errorf("the third sign-in was with %q", got)
		}
	})
}

func TestCognitoFallsBackToThePassword(t *testing.T) {
	for _, kind := range []string{"NotAuthorizedException", "RefreshTokenReuseException", "com.amazonaws.cognito#InvalidParameterException", "UserNotFoundException"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p := &pool{}
				source := newAccount(p)
				defer source.Close()
				mustToken(t, source, "a")
				p.set(func(in signIn) (int, string) {
					if in.AuthFlow == "REFRESH_TOKEN_AUTH" {
						return refuse(400, kind)(in)
					}
					return 200, p.tokens(len(p.flows()), in)
				})
				time.Sleep(time.Hour)
				mustToken(t, source, "a")
				want := []string{"USER_PASSWORD_AUTH", "REFRESH_TOKEN_AUTH", "USER_PASSWORD_AUTH"}
				if diff := cmp.Diff(want, p.flows()); diff != "" {
					t.Errorf("flows (-want +got):\n%s", diff)
				}
				p.set(nil)
				time.Sleep(time.Hour)
				mustToken(t, source, "a")
				if got := p.asked[3].AuthParameters["REFRESH_TOKEN"]; got != "refresh-3" {
					t.Errorf("went on with %q, want the refresh token of the full sign-in", got)
				}
			})
		})
	}
}

// An outage is no reason to send the password.
func TestCognitoOutageIsNoFallback(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &pool{}
		source := newAccount(p)
		defer source.Close()
		first := mustToken(t, source, "a")
		time.Sleep(52 * time.Minute)
		outages := []func(signIn) (int, string){
			refuse(400, "TooManyRequestsException"), refuse(500, "InternalErrorException"), refuse(503, "NotAuthorizedException"),
			func(signIn) (int, string) { return 0, "" }, func(signIn) (int, string) { return 200, "not json" },
		}
		for i := range 8 {
			p.set(outages[i%len(outages)])
			time.Sleep(time.Minute)
			if got, err := source.Token(t.Context(), "a"); err == nil && !got.Value.Equal(first.Value) || i < 7 && err != nil {
				t.Errorf("not the last good token: %v", err)
			}
			synctest.Wait()
		}
		for i, flow := range p.flows()[1:] {
			if flow != "REFRESH_TOKEN_AUTH" {
				t.Errorf("attempt %d: %s", i, flow)
			}
		}
	})
}

func TestCognitoInvalidate(t *testing.T) {
	t.Parallel()
	p := &pool{}
	source := newAccount(p)
	defer source.Close()
	first := mustToken(t, source, "a")
	source.Invalidate("a", tokensource.Token{})
	source.Invalidate("b", first) // one token for every audience
	if second := mustToken(t, source, "a"); second.Value.Equal(first.Value) {
		t.Error("the refused token came again")
	}
	if n := len(p.flows()); n != 2 {
		t.Errorf("%d sign-ins, want 2", n)
	}
}

func TestCognitoErrors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		body   string
		want   countersign.Code
	}{
		{400, `{"__type":"NotAuthorizedException"}`, countersign.BadClient},
		{400, `{"__type":"com.amazonaws.cognito.identity#UserNotFoundException"}`, countersign.BadClient},
		{400, `{"__type":"ResourceNotFoundException"}`, countersign.BadClient},
		{400, `{"__type":"PasswordResetRequiredException"}`, countersign.Denied},
		{400, `{"__type":"UserNotConfirmedException"}`, countersign.Denied},
		{400, `{"__type":"InvalidParameterException"}`, countersign.Invalid},
		{400, `{"__type":"TooManyRequestsException"}`, countersign.Throttled},
		{429, `{"__type":"NotAuthorizedException"}`, countersign.Throttled},
		{500, `{"__type":"NotAuthorizedException"}`, countersign.Unavailable},
		{400, `{"__type":"SomethingNew"}`, countersign.Invalid},
		{400, `not json`, countersign.Invalid},
		{403, `not json`, countersign.Denied},
		{404, ``, countersign.Upstream},
		{302, ``, countersign.Upstream},
		{0, ``, countersign.Upstream},
		{200, `{"ChallengeName":"NEW_PASSWORD_REQUIRED","Session":"s"}`, countersign.Denied},
		{200, `{"ChallengeName":"SOFTWARE_TOKEN_MFA","AuthenticationResult":{"IdToken":"a","AccessToken":"b"}}`, countersign.Denied},
		{200, `{"ChallengeName":"what is this"}`, countersign.Upstream},
		{200, `{}`, countersign.Upstream},
		{200, `not json`, countersign.Upstream},
		{200, `{"AuthenticationResult":{"AccessToken":"only"}}`, countersign.Upstream},
		{200, `{"AuthenticationResult":{"IdToken":"a b","AccessToken":"b"}}`, countersign.Upstream},
		{200, `{"AuthenticationResult":{"IdToken":"a","TokenType":"DPoP"}}`, countersign.Upstream},
		{200, `{"AuthenticationResult":{"IdToken":"a","ExpiresIn":-1}}`, countersign.Upstream},
		{200, `{"AuthenticationResult":{"IdToken":"a","ExpiresIn":1.5}}`, countersign.Upstream},
		{200, `{"AuthenticationResult":{"IdToken":"` + strings.Repeat("a", 17<<10) + `"}}`, countersign.Upstream},
		{200, strings.Repeat(" ", 70<<10), countersign.Upstream},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status, test.body[:min(len(test.body), 80)]), func(t *testing.T) {
			t.Parallel()
			p := &pool{}
			p.set(func(signIn) (int, string) { return test.status, test.body })
			source := newAccount(p)
			defer source.Close()
			_, err := source.Token(t.Context(), "a")
			wantCode(t, err, test.want)
		})
	}
}

// TestVulnerability30NoCognitoSecretInErrors: a pool that repeats what it was sent.
func TestVulnerability30NoCognitoSecretInErrors(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 302, 400, 403, 429, 500} {
		p := &pool{}
		p.set(func(in signIn) (int, string) {
			text := in.AuthParameters["PASSWORD"] + in.AuthParameters["SECRET_HASH"]
			return status, `{"__type":"` + text + `","message":"` + text + `","ChallengeName":"` + text + `"}`
		})
		source := newAccount(p)
		source.ClientSecret = countersign.NewSecret("client-secret-canary")
		_, err := source.Token(t.Context(), "a")
		for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v %#v", err, err), fmt.Sprintf("%+v", source)} {
			if strings.Contains(text, "canary") {
				t.Errorf("status %d: a secret in %q", status, text)
			}
		}
		_ = source.Close()
	}
}
