package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// subject is one server under the load of the token endpoint.
type subject struct {
	name, url, secret string
	// services: each request is by another one of that many, s-0, s-1, …; 0 = all are by
	// document-service.
	services int
	// lua is the script that makes the requests; "" = a token request.
	lua string
	// process is weighed, too; nil = it is not.
	process *process
}

// tokenEndpoint prints the rows of the token endpoint.
func tokenEndpoint(o options, folder string) error {
	floor, err := start(nil, o.floor, "-file", filepath.Join(folder, "floor.log"))
	if err != nil {
		return err
	}
	defer floor.end()
	signer, err := start(nil, o.floor, "-sign-only")
	if err != nil {
		return err
	}
	defer signer.end()
	cs, _, err := startCountersign(o.binary, filepath.Join(folder, "load"))
	if err != nil {
		return err
	}
	defer cs.end()
	if err := cs.register(o.binary); err != nil {
		return err
	}
	subjects := []subject{
		{name: "countersign", url: cs.url + "/oauth2/token", secret: cs.secret, process: &cs.process},
		{name: "floor", url: floor.url + "/token", secret: "x", process: floor},
		{name: "sign only", url: signer.url + "/token", secret: "x", process: signer},
	}
	if o.peer != "" {
		const secret = "a-secret-for-the-benchmark-only"
		peer, err := start([]string{"CLIENT_SECRET=" + secret}, "node", filepath.Join(o.peer, "server.mjs"))
		if err != nil {
			return err
		}
		defer peer.end()
		subjects = append(subjects, subject{name: "oidc-provider", url: peer.url + "/token", secret: secret})
	}
	fmt.Println("\nclient_credentials, ES256, audit durable before the reply (requests/s)")
	goals := map[string]string{
		"floor 16": "≥ 0.80", "floor 64": "≥ 0.80", "floor 256": "≥ 0.80",
		"sign only 64": "≥ 0.60", "sign only 256": "≥ 0.70", "oidc-provider 16": "≥ 2.5", "oidc-provider 64": "≥ 3.5",
	}
	for _, connections := range []int{1, 16, 64, 256} {
		if err := compare(o, folder, subjects, connections, goals); err != nil {
			return err
		}
	}
	return allocation(o, folder, cs, subjects[0], "token")
}

// compare loads every subject in turn and prints its rate and ours as a ratio to it.
func compare(o options, folder string, subjects []subject, connections int, goals map[string]string) error {
	rates, weights := make(map[string][]float64), make(map[string][]float64)
	ratios := make(map[string][]float64)
	for range o.rounds {
		for _, s := range subjects {
			before := s.process.cpu()
			rate, err := load(folder, s, connections, o.seconds)
			if err != nil {
				return fmt.Errorf("%s at c=%d: %w", s.name, connections, err)
			}
			rates[s.name] = append(rates[s.name], rate)
			weights[s.name] = append(weights[s.name], float64((s.process.cpu()-before).Microseconds())/(rate*float64(o.seconds)))
		}
		turn := len(rates["countersign"]) - 1
		for _, s := range subjects[1:] {
			ratios[s.name] = append(ratios[s.name], rates["countersign"][turn]/rates[s.name][turn])
		}
	}
	for _, s := range subjects {
		figure := fmt.Sprintf("%.0f/s", median(rates[s.name]))
		if s.process != nil {
			figure = fmt.Sprintf("%.0f µs CPU, %s", median(weights[s.name]), figure)
		}
		row(fmt.Sprintf("c=%-3d  %s", connections, s.name), figure, "")
		if s.name != "countersign" {
			row("        countersign ÷ "+s.name, fmt.Sprintf("%.2f", median(ratios[s.name])), goals[fmt.Sprintf("%s %d", s.name, connections)])
		}
	}
	return nil
}

// manyLua sends the requests of many services in an order that no cache likes.
const manyLua = `
local count, n = %d, 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
request = function()
  n = (n + 7919) %% count
  return wrk.format(nil, nil, nil, "grant_type=client_credentials&scope=s2s%%3Ainternal&audience=parse-service&client_secret=%s&client_id=s-" .. n)
end
`

var (
	rateLine  = regexp.MustCompile(`(?m)^Requests/sec:\s+([0-9.]+)`)
	errorLine = regexp.MustCompile(`(?m)^\s*(Non-2xx or 3xx responses|Socket errors): .*`)
)

// load runs wrk and returns the requests per second. A single refused request fails it.
func load(folder string, s subject, connections, seconds int) (float64, error) {
	script := filepath.Join(folder, "post.lua")
	basic := base64.StdEncoding.EncodeToString([]byte("document-service:" + s.secret))
	body := "grant_type=client_credentials&scope=s2s%3Ainternal"
	if s.name != "oidc-provider" {
		body += "&audience=parse-service"
	}
	lua := fmt.Sprintf("wrk.method = \"POST\"\nwrk.body = %q\nwrk.headers[\"Content-Type\"] = \"application/x-www-form-urlencoded\"\nwrk.headers[\"Authorization\"] = \"Basic %s\"\n", body, basic)
	if s.services > 0 {
		lua = fmt.Sprintf(manyLua, s.services, s.secret)
	}
	if s.lua != "" {
		lua = s.lua
	}
	if err := os.WriteFile(script, []byte(lua), 0o600); err != nil {
		return 0, err
	}
	out, err := exec.Command("wrk", "-t1", "-c"+strconv.Itoa(connections), "-d"+strconv.Itoa(seconds)+"s", "--timeout", "10s", "-s", script, s.url).CombinedOutput() //nolint:gosec // G204: loopback only
	if err != nil {
		return 0, fmt.Errorf("wrk: %w: %s", err, out)
	}
	if line := errorLine.Find(out); line != nil {
		return 0, errors.New(string(line))
	}
	match := rateLine.FindSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("wrk said no rate: %s", out)
	}
	return strconv.ParseFloat(string(match[1]), 64)
}

// allocation prints what a request for a token or a session allocates, all of the server included.
func allocation(o options, folder string, cs *countersign, s subject, what string) error {
	before, err := cs.metric("go_memstats_alloc_bytes_total")
	if err != nil {
		return err
	}
	rate, err := load(folder, s, 16, o.seconds)
	if err != nil {
		return err
	}
	after, err := cs.metric("go_memstats_alloc_bytes_total")
	if err != nil {
		return err
	}
	row("allocated for one "+what+" request", fmt.Sprintf("%.1f KiB", (after-before)/(rate*float64(o.seconds))/1024), "≤ 30 KiB")
	return nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	return sorted[len(sorted)/2]
}
