package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	large = 64 << 20
	small = 1 << 10
)

// gatewayDocuments are the bucket and who may use it.
const gatewayDocuments = `
kind: Service
name: bench-client
audiences: [sts]
---
kind: Role
name: bench-role
max_session_duration: 12h
trust: [{service: {names: [bench-client]}}]
permissions: [{bucket: objects, prefixes: [""], actions: [get_object, put_object, list_bucket]}]
---
kind: Bucket
name: objects
origin:
  s3: {endpoint: %q, bucket: objects, region: us-east-1, credentials: {static: {access_key_id: %s, secret_access_key_file: origin.secret}}}
`

// storageKeys are what a client of one subject signs with.
type storageKeys struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string `json:"SecretAccessKey"`
	SessionToken    string `json:"SessionToken"`
}

// storage is one way to the origin under load.
type storage struct {
	name, url string
	keys      storageKeys
	process   *process
}

// gateway prints the rows of the S3 gateway: the same objects of the same origin, through
// Countersign, through nginx as a plain reverse proxy, and through the peers that are there.
func gateway(o options, folder string) error {
	origin, err := startVersity(o.versity, folder)
	if err != nil {
		return err
	}
	defer origin.end()
	for key, size := range map[string]int{"large": large, "small": small} {
		if err := putObject(origin.url, key, size); err != nil {
			return err
		}
	}
	cs, keys, err := startGateway(o.binary, folder, origin.url)
	if err != nil {
		return err
	}
	defer cs.end()
	own := storageKeys{AccessKeyID: originKey, SecretAccessKey: originSecret}
	subjects := []storage{{"countersign", cs.s3, keys, &cs.process}}
	for name, fast := range map[string]bool{"nginx": true, "nginx by default": false} {
		p, err := startNginx(folder, strings.ReplaceAll(name, " ", "-"), strings.TrimPrefix(origin.url, "http://"), fast)
		if err != nil {
			return err
		}
		defer p.end()
		subjects = append(subjects, storage{name, p.url, own, nil})
	}
	floors, err := startProxies(o.floor, origin.url)
	defer func() {
		for _, p := range floors {
			p.end()
		}
	}()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(floors)) {
		subjects = append(subjects, storage{name, floors[name].url, own, floors[name]})
	}
	proxy, err := startVersityProxy(o.versity, origin.url, folder)
	if err != nil {
		return err
	}
	defer proxy.end()
	subjects = append(subjects, storage{"versitygw's proxy", proxy.url, own, proxy}, storage{"the origin itself", origin.url, own, origin})
	fmt.Println("\nS3 gateway before versitygw, audit on; nginx: upstream keepalive, proxy_buffering off, proxy_request_buffering off")
	return gatewayRows(o, folder, subjects, cs)
}

func gatewayRows(o options, folder string, subjects []storage, cs *countersign) error {
	for _, l := range []storageLoad{
		{what: "GET 64 MiB, c=2", method: "GET", key: "large", connections: 2, bytes: large, goals: map[string]string{"nginx": "≥ 0.95", "versitygw's proxy": "≥ 1.5"}},
		{what: "PUT 64 MiB unsigned, c=2", method: "PUT", key: "put", connections: 2, bytes: large, payload: unsigned, goals: map[string]string{"nginx": "≥ 0.90"}},
		{what: "PUT 64 MiB signed, c=2", method: "PUT", key: "put", connections: 2, bytes: large, payload: hashed, goals: map[string]string{"nginx": "≥ 0.80"}},
		{what: "GET 1 KiB, c=1", method: "GET", key: "small", connections: 1, bytes: small, latency: true, goals: nil},
		{what: "GET 1 KiB, c=16", method: "GET", key: "small", connections: 16, bytes: small, goals: map[string]string{"nginx": "≥ 0.60", "nginx by default": "≥ 1.1"}},
		{what: "PUT 1 KiB signed, c=16", method: "PUT", key: "put-small", connections: 16, bytes: small, payload: hashed, goals: nil},
	} {
		if !strings.Contains(l.what, o.rows) {
			continue
		}
		if err := compareStorage(o, folder, subjects, l); err != nil {
			return fmt.Errorf("%s: %w", l.what, err)
		}
	}
	if o.rows != "" {
		return nil
	}
	return streamMemory(subjects[0], cs)
}

// startGateway starts a server with the bucket and returns the keys of a session.
func startGateway(binary, folder, origin string) (*countersign, storageKeys, error) {
	resources := filepath.Join(folder, "resources")
	if err := os.MkdirAll(resources, 0o700); err != nil {
		return nil, storageKeys{}, err
	}
	secret := filepath.Join(resources, "origin.secret")
	documents := strings.ReplaceAll(fmt.Sprintf(gatewayDocuments, origin, originKey), "origin.secret", secret)
	for path, text := range map[string]string{secret: originSecret, filepath.Join(resources, "all.yaml"): documents} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, storageKeys{}, err
		}
	}
	cs, _, err := startCountersign(binary, filepath.Join(folder, "gateway"), "COUNTERSIGN_LISTEN_S3=127.0.0.1:0",
		"COUNTERSIGN_RESOURCES="+filepath.Join(resources, "all.yaml"), "COUNTERSIGN_ALLOWED_PATHS="+resources)
	if err != nil {
		return nil, storageKeys{}, err
	}
	keys, err := cs.assumeRole(binary)
	if err != nil {
		cs.end()
		return nil, storageKeys{}, err
	}
	return cs, keys, nil
}

// assumeRole gets a session of the role as its service.
func (c *countersign) assumeRole(binary string) (keys storageKeys, err error) {
	out, err := exec.Command(binary, "service", "rotate", "bench-client", "--data", c.data, "--output", "json").Output() //nolint:gosec // G204
	if err != nil {
		return keys, fmt.Errorf("service rotate: %w", err)
	}
	var client struct {
		ID     string `json:"client_id"`
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal(out, &client); err != nil {
		return keys, err
	}
	command := exec.Command(binary, "assume", "--role", "bench-role", "--service", client.ID, "--server", c.url, "--output", "process", "--duration", "4h") //nolint:gosec // G204
	command.Env = append(os.Environ(), "COUNTERSIGN_CLIENT_ID="+client.ID, "COUNTERSIGN_CLIENT_SECRET="+client.Secret)
	command.Stderr = os.Stderr
	if out, err = command.Output(); err != nil {
		return keys, fmt.Errorf("assume: %w", err)
	}
	return keys, json.Unmarshal(out, &keys)
}

// streams are how many answers are read slowly at the same time.
const streams = 500

// streamMemory prints what an open stream costs: many clients have asked for the large
// object and read nothing of it yet.
func streamMemory(s storage, cs *countersign) error {
	before, err := cs.residentMiB()
	if err != nil {
		return err
	}
	requests, err := signedRequests(s, storageLoad{method: "GET", key: "large"}, streams)
	if err != nil {
		return err
	}
	open := make([]net.Conn, 0, streams)
	defer func() {
		for _, c := range open {
			_ = c.Close()
		}
	}()
	address := strings.TrimPrefix(s.url, "http://")
	var first [16]byte
	for _, request := range requests {
		c, err := net.Dial("tcp", address) //nolint:noctx // loopback, and the program ends
		if err != nil {
			return err
		}
		open = append(open, c)
		if _, err := c.Write([]byte(request.raw(address))); err != nil {
			return err
		}
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := c.Read(first[:]); err != nil {
			return err
		}
		if !strings.HasPrefix(string(first[:]), "HTTP/1.1 200") {
			return errors.New("answered " + string(first[:]))
		}
	}
	after, err := cs.residentMiB()
	if err != nil {
		return err
	}
	row(fmt.Sprintf("memory of an open stream, %d of them", streams), fmt.Sprintf("%.0f KiB", (after-before)*1024/streams), "≤ 256 KiB")
	return nil
}
