package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/countersign/countersign/authtest"
)

// logins are how many identities log in for one figure.
const logins = 1000

// awsIdentity prints what a login by AWS identity costs the server, with AWS's double on
// loopback, in this process.
func awsIdentity(o options, folder string) error {
	fmt.Println("\nAssumeRoleWithAWSIdentity, AWS's double on loopback, each proof used once, audit durable before the reply")
	host := &testHost{folder: folder}
	defer host.end()
	amazon := authtest.NewAWSSTS(host, authtest.AWSSTSConfig{})
	caller := amazon.AssumeRole(host, amazon.AddRole(host, authtest.AWSRole{Name: "lambda"}), "resize", time.Hour)
	cs, _, err := startCountersign(o.binary, filepath.Join(folder, "aws"),
		"COUNTERSIGN_STS_SERVER_ID=bench", "COUNTERSIGN_STS_AWS_ENDPOINTS="+amazon.URL)
	if err != nil {
		return err
	}
	defer cs.end()
	err = cs.apply(o.binary, fmt.Sprintf(`kind: Role
name: writer
trust: [{aws: {trusted_aws_accounts: ["%s"], subject_conditions: ["arn:aws:sts::%s:assumed-role/lambda/*"]}}]
permissions: [{bucket: documents, prefixes: ["resumes/"], actions: [get_object]}]
`, amazon.Account, amazon.Account))
	if err != nil {
		return err
	}
	turn := 0
	for _, parallel := range []int{1, 16} {
		var own, took []float64
		for range o.rounds {
			turn++
			forms, err := awsForms(amazon, &caller, turn)
			if err != nil {
				return err
			}
			before, began := cs.cpu(), time.Now()
			if err := cs.assumeAll(forms, parallel); err != nil {
				return err
			}
			took = append(took, float64(time.Since(began).Microseconds())/logins)
			own = append(own, float64((cs.cpu()-before).Microseconds())/logins)
		}
		row(fmt.Sprintf("c=%-3d  CPU of the whole server, its store's too", parallel), fmt.Sprintf("%.0f µs, %.0f/s", median(own), 1e6/median(took)), "≤ 300 µs")
	}
	row("calls to AWS for a login", fmt.Sprintf("%.3f", float64(len(amazon.Calls()))/float64(logins*turn)), "1")
	return trustBenchmark(o)
}

// cpuMetric is what the benchmark reports beside the time.
var cpuMetric = regexp.MustCompile(`([0-9.]+) cpu-µs/op`)

// trustBenchmark runs the Go benchmark of the proof alone.
func trustBenchmark(o options) error {
	var own []float64
	for range o.rounds {
		out, err := exec.Command("go", "test", "-run", "^$", "-bench", "AWSIdentity", "-benchtime", "1000x", "./internal/trust").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		match := cpuMetric.FindSubmatch(out)
		if match == nil {
			return fmt.Errorf("no result: %s", out)
		}
		value, err := strconv.ParseFloat(string(match[1]), 64)
		if err != nil {
			return err
		}
		own = append(own, value)
	}
	row("the proof alone, AWS's double in it, without a store", fmt.Sprintf("%.0f µs", median(own)), "≤ 300 µs")
	return nil
}

// awsForms are bodies of logins that only have to be sent: signing them is not the server's work.
func awsForms(amazon *authtest.AWSSTS, caller *authtest.AWSIdentity, turn int) ([]string, error) {
	const body = "Action=GetCallerIdentity&Version=2011-06-15"
	sum := sha256.Sum256([]byte(body))
	keys := aws.Credentials{
		AccessKeyID: caller.AccessKeyID, SecretAccessKey: caller.SecretAccessKey.Reveal(), SessionToken: caller.SessionToken.Reveal(),
	}
	encode := func(text []byte) string { return base64.StdEncoding.EncodeToString(text) }
	forms := make([]string, 0, logins)
	for i := range logins {
		r, err := http.NewRequest(http.MethodPost, amazon.URL+"/", http.NoBody)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		r.Header.Set("X-Countersign-Server-ID", "bench")
		r.Header.Set("X-Amz-User-Agent", "bench/"+strconv.Itoa(turn*logins+i)) // no two proofs are the same
		if err := v4.NewSigner().SignHTTP(context.Background(), keys, r, hex.EncodeToString(sum[:]), "sts", "us-east-1", time.Now()); err != nil {
			return nil, err
		}
		headers := make(map[string]string)
		for name := range r.Header {
			headers[name] = r.Header.Get(name)
		}
		text, err := json.Marshal(headers)
		if err != nil {
			return nil, err
		}
		forms = append(forms, url.Values{
			"Action": {"AssumeRoleWithAWSIdentity"}, "Version": {"2011-06-15"},
			"RoleArn": {"arn:aws:iam::000000000000:role/writer"}, "RoleSessionName": {"job-7"},
			"IamRequestUrl": {encode([]byte(r.URL.String()))}, "IamRequestBody": {encode([]byte(body))}, "IamRequestHeaders": {encode(text)},
		}.Encode())
	}
	return forms, nil
}

// assumeAll sends all of them, so many at a time.
func (c *countersign) assumeAll(forms []string, parallel int) error {
	work, errs := make(chan string), make(chan error, parallel)
	for range parallel {
		go func() {
			var failed error
			for form := range work { // to the end, so that nobody waits to be rid of one
				if err := c.assume(form); err != nil && failed == nil {
					failed = err
				}
			}
			errs <- failed
		}()
	}
	for _, form := range forms {
		work <- form
	}
	close(work)
	var err error
	for range parallel {
		err = errors.Join(err, <-errs)
	}
	return err
}

// assume fails unless credentials come back.
func (c *countersign) assume(form string) error {
	r, err := http.NewRequest(http.MethodPost, c.url+"/sts", strings.NewReader(form))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-Countersign-Server-ID", "bench")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status + ": " + string(text))
	}
	return err
}

// testHost lets a program use package authtest.
type testHost struct {
	folder string
	ends   []func()
}

func (*testHost) Helper()                        {}
func (*testHost) Fatalf(format string, a ...any) { panic(fmt.Sprintf(format, a...)) }
func (h *testHost) Cleanup(end func())           { h.ends = append(h.ends, end) }
func (h *testHost) TempDir() string              { return h.folder }
func (h *testHost) end() {
	for i := len(h.ends) - 1; i >= 0; i-- {
		h.ends[i]()
	}
}
