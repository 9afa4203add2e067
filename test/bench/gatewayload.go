package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	sdk "github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

// The forms of a body.
const (
	unsigned = "unsigned"
	hashed   = "hashed"
)

// storageLoad is one row: what is asked for, and how often at a time.
type storageLoad struct {
	what, method, key, payload string
	connections, bytes         int
	// latency: the row is about the time of one request instead of how many there are.
	latency bool
	goals   map[string]string
}

// signedRequest is a request line and its headers.
type signedRequest struct {
	method, path string
	header       http.Header
}

func (r signedRequest) raw(host string) string {
	text := r.method + " " + r.path + " HTTP/1.1\r\nHost: " + host + "\r\n"
	for name, values := range r.header {
		text += name + ": " + values[0] + "\r\n"
	}
	return text + "\r\n"
}

// signatures is how many distinct ones a load cycles through: each has a second of its own,
// so that no cache of signatures is measured.
const signatures = 600

// signedRequests signs the same request at different seconds, the newest first.
func signedRequests(s storage, l storageLoad, count int) ([]signedRequest, error) {
	hash := sigv4.EmptyPayloadHash
	switch l.payload {
	case unsigned:
		hash = sigv4.UnsignedPayload
	case hashed:
		hash = sigv4.HashPayload(make([]byte, l.bytes))
	}
	made := make([]signedRequest, 0, count)
	for i := range count {
		r, err := http.NewRequest(l.method, s.url+"/objects/"+l.key, nil)
		if err != nil {
			return nil, err
		}
		if l.payload != "" {
			r.Header.Set("Content-Length", strconv.Itoa(l.bytes))
		}
		err = sigv4.Sign(r, sigv4.Credentials{
			AccessKeyID: s.keys.AccessKeyID, SecretAccessKey: sdk.NewSecret(s.keys.SecretAccessKey), SessionToken: sdk.NewSecret(s.keys.SessionToken),
		}, sigv4.SignOptions{
			Region: region, Service: "s3", Time: time.Now().Add(-time.Duration(i) * time.Second), PayloadHash: hash, UnsignedHeaders: []string{"Content-Length"},
		})
		if err != nil {
			return nil, err
		}
		made = append(made, signedRequest{l.method, "/objects/" + l.key, r.Header})
	}
	return made, nil
}

// storageLua gives wrk the requests in turn; the body is one and the same.
func storageLua(requests []signedRequest, l storageLoad) string {
	var b strings.Builder
	b.WriteString("local body, all, n = nil, {}, 0\n")
	if l.payload != "" {
		fmt.Fprintf(&b, "body = string.rep(string.char(0), %d)\n", l.bytes)
	}
	for _, r := range requests {
		b.WriteString("all[#all + 1] = {")
		for name, values := range r.header {
			if name != "Content-Length" { // wrk writes its own
				fmt.Fprintf(&b, "[%q] = %q, ", name, values[0])
			}
		}
		b.WriteString("}\n")
	}
	fmt.Fprintf(&b, "request = function()\n  n = n %% #all + 1\n  return wrk.format(%q, %q, all[n], body)\nend\n", requests[0].method, requests[0].path)
	return b.String()
}

// measured is what one turn of a load showed.
type measured struct{ rate, p50, p99 float64 }

var latencyLine = regexp.MustCompile(`(?m)^\s+(50|99)%\s+([0-9.]+)(us|ms|s)$`)

// loadStorage runs wrk. A single refused request fails it.
func loadStorage(o options, folder string, s storage, l storageLoad) (m measured, err error) {
	count := signatures
	if l.bytes == large {
		count = 64
	}
	requests, err := signedRequests(s, l, count)
	if err != nil {
		return m, err
	}
	script := filepath.Join(folder, "storage.lua")
	if err := os.WriteFile(script, []byte(storageLua(requests, l)), 0o600); err != nil {
		return m, err
	}
	out, err := exec.Command("wrk", "-t1", "-c"+strconv.Itoa(l.connections), "-d"+strconv.Itoa(o.seconds)+"s", "--latency", "--timeout", "20s", "-s", script, s.url).CombinedOutput() //nolint:gosec // G204: loopback only
	if err != nil {
		return m, fmt.Errorf("wrk: %w: %s", err, out)
	}
	if line := errorLine.Find(out); line != nil {
		return m, errors.New(string(line))
	}
	match := rateLine.FindSubmatch(out)
	if match == nil {
		return m, fmt.Errorf("wrk said no rate: %s", out)
	}
	if m.rate, err = strconv.ParseFloat(string(match[1]), 64); err != nil {
		return m, err
	}
	for _, found := range latencyLine.FindAllSubmatch(out, -1) {
		value, _ := strconv.ParseFloat(string(found[2]), 64)
		value *= map[string]float64{"us": 1, "ms": 1000, "s": 1e6}[string(found[3])]
		if string(found[1]) == "50" {
			m.p50 = value
		} else {
			m.p99 = value
		}
	}
	return m, nil
}

// compareStorage loads every subject in turn and prints ours as a ratio to each other one.
func compareStorage(o options, folder string, subjects []storage, l storageLoad) error {
	turns := make(map[string][]measured)
	cpu := make(map[string][]float64)
	for range o.rounds {
		for _, s := range subjects {
			before := s.process.cpu()
			m, err := loadStorage(o, folder, s, l)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			turns[s.name] = append(turns[s.name], m)
			cpu[s.name] = append(cpu[s.name], float64((s.process.cpu()-before).Microseconds())/(m.rate*float64(o.seconds)))
		}
	}
	fmt.Println("  " + l.what)
	ours := turns[subjects[0].name]
	for _, s := range subjects {
		theirs := turns[s.name]
		over := func(f func(i int) float64) float64 {
			var values []float64
			for i := range theirs {
				values = append(values, f(i))
			}
			return median(values)
		}
		figure := fmt.Sprintf("%.0f MiB/s", over(func(i int) float64 { return theirs[i].rate * float64(l.bytes) / (1 << 20) }))
		if l.bytes == small {
			figure = fmt.Sprintf("%.0f/s", over(func(i int) float64 { return theirs[i].rate }))
		}
		if s.process != nil {
			figure = fmt.Sprintf("%.0f µs CPU, %s", median(cpu[s.name]), figure)
		}
		goal := ""
		if s.name != subjects[0].name {
			figure += fmt.Sprintf(", ours ÷ it %.2f", over(func(i int) float64 { return ours[i].rate / theirs[i].rate }))
			goal = l.goals[s.name]
		}
		if l.latency {
			figure = fmt.Sprintf("p50 %.0f µs, p99 %.0f µs", over(func(i int) float64 { return theirs[i].p50 }), over(func(i int) float64 { return theirs[i].p99 }))
			if i := slices.IndexFunc(subjects, func(other storage) bool { return other.name == s.name }); i == len(subjects)-1 {
				figure += fmt.Sprintf("; added p50 %.0f µs, p99 %.0f µs", over(func(i int) float64 { return ours[i].p50 - theirs[i].p50 }), over(func(i int) float64 { return ours[i].p99 - theirs[i].p99 }))
				goal = "≤ 150 µs, ≤ 500 µs"
			}
		}
		row("  "+s.name, figure, goal)
	}
	return nil
}
