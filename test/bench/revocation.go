package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	cs "github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/verify"
)

// revocations is how many are timed; tooLate ends the wait for one.
const (
	revocations = 200
	tooLate     = 10 * time.Second
)

// revocationReach prints how soon a revocation at one replica is known to another one and
// to a receiver that follows that one, while both issue tokens.
func revocationReach(o options, folder string) error {
	fmt.Println("\na token is revoked at one of two replicas on PostgreSQL, both under load")
	db, err := startCluster(filepath.Join(folder, "reach"))
	if err != nil {
		return err
	}
	defer db.end()
	environ, err := db.environ(folder)
	if err != nil {
		return err
	}
	address, err := freeAddress()
	if err != nil {
		return err
	}
	environ = append(environ, "COUNTERSIGN_ISSUER=http://"+address)
	here, _, err := startCountersign(o.binary, filepath.Join(folder, "here"), environ...)
	if err != nil {
		return err
	}
	defer here.end()
	there, _, err := startCountersign(o.binary, filepath.Join(folder, "there"), append(environ, "COUNTERSIGN_LISTEN_API="+address)...)
	if err != nil {
		return err
	}
	defer there.end()
	if err := here.register(o.binary); err != nil {
		return err
	}
	receiver, err := verify.New(verify.Config{Audience: "parse-service", Issuers: []verify.Issuer{{URL: "http://" + address}}})
	if err != nil {
		return err
	}
	defer func() { _ = receiver.Close() }()
	administrator, err := iamclient.New(iamclient.Config{Socket: filepath.Join(here.data, "admin.sock")})
	if err != nil {
		return err
	}
	defer administrator.Close()

	loads := make(chan error, 2)
	for i, c := range []*countersign{here, there} {
		go func() {
			_, err := load(filepath.Join(folder, []string{"here", "there"}[i]), subject{name: "countersign", url: c.url + "/oauth2/token", secret: here.secret}, 8, 20)
			loads <- err
		}()
	}
	replica, sdk, err := timeRevocations(administrator, here, there, receiver)
	if err = errors.Join(err, <-loads, <-loads); err != nil {
		return err
	}
	row("refused at the other replica, p50 / p99", percentiles(replica), "p99 ≤ 1000 ms")
	row("refused at the receiver, p50 / p99", percentiles(sdk), "p99 ≤ 1000 ms")
	return nil
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func timeRevocations(administrator *iamclient.Client, here, there *countersign, receiver *verify.Verifier) (replica, sdk []time.Duration, err error) {
	ctx := context.Background()
	for range revocations {
		token, err := here.token()
		if err != nil {
			return nil, nil, err
		}
		if _, err := receiver.Verify(ctx, token); err != nil {
			return nil, nil, fmt.Errorf("before it is revoked: %w", err)
		}
		began := time.Now()
		if _, err := administrator.RevokeToken(ctx, cs.NewSecret(token)); err != nil {
			return nil, nil, err
		}
		atReplica := make(chan time.Duration, 1)
		go func() {
			atReplica <- until(began, func() bool { active, err := there.active(here.secret, token); return err == nil && !active })
		}()
		sdk = append(sdk, until(began, func() bool { _, err := receiver.Verify(ctx, token); return err != nil }))
		replica = append(replica, <-atReplica)
	}
	return replica, sdk, nil
}

// until asks every millisecond until the answer is yes, and returns how long after began
// that was.
func until(began time.Time, ask func() bool) time.Duration {
	for !ask() && time.Since(began) < tooLate {
		time.Sleep(time.Millisecond)
	}
	return time.Since(began)
}

func percentiles(times []time.Duration) string {
	slices.Sort(times)
	at := func(p int) float64 { return float64(times[(len(times)-1)*p/100].Microseconds()) / 1000 }
	return fmt.Sprintf("%.0f / %.0f ms", at(50), at(99))
}

// token gets one for document-service.
func (c *countersign) token() (string, error) {
	var answer struct {
		Token string `json:"access_token"`
	}
	err := c.post("/oauth2/token", c.secret, url.Values{"grant_type": {"client_credentials"}, "audience": {"parse-service"}}, &answer)
	return answer.Token, err
}

func (c *countersign) active(secret, token string) (bool, error) {
	var answer struct{ Active bool }
	err := c.post("/oauth2/introspect", secret, url.Values{"token": {token}}, &answer)
	return answer.Active, err
}

func (c *countersign) post(path, secret string, form url.Values, into any) error {
	request, err := http.NewRequest(http.MethodPost, c.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth("document-service", secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}
