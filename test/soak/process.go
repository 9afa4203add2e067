package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// started bounds how long a server may take to take connections.
const started = 30 * time.Second

// origin is the S3 server behind the gateway. It keeps its address when it comes back.
type origin struct {
	program, address, folder string
	command                  *exec.Cmd
}

const (
	originKey    = "origin"
	originSecret = "the-secret-of-the-origin"
)

func startOrigin(program, folder string) (*origin, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	o := &origin{program: program, address: listener.Addr().String(), folder: filepath.Join(folder, "origin")}
	if err := errors.Join(listener.Close(), os.MkdirAll(filepath.Join(o.folder, "storage"), 0o700)); err != nil {
		return nil, err
	}
	return o, o.start()
}

func (o *origin) start() error {
	o.command = exec.Command(o.program, "--port", o.address, "--quiet", "--keep-alive", "posix", o.folder) //nolint:gosec // G204: the soak's own programs
	o.command.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+originKey, "ROOT_SECRET_KEY="+originSecret)
	if err := o.command.Start(); err != nil {
		return err
	}
	for end := time.Now().Add(started); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if connection, err := net.Dial("tcp", o.address); err == nil {
			return connection.Close()
		}
	}
	return errors.New("the origin does not take connections")
}

// restart ends it, hard or as one does, and starts it again some time later.
func (o *origin) restart(hard bool, down time.Duration) error {
	if hard {
		_ = o.command.Process.Kill()
		_ = o.command.Wait()
	} else {
		o.end()
	}
	time.Sleep(down)
	return o.start()
}

func (o *origin) end() {
	_ = o.command.Process.Signal(syscall.SIGTERM)
	_ = o.command.Wait()
}

// gateway is a countersign with one bucket.
type gateway struct {
	command      *exec.Cmd
	log          *os.File
	data         string
	api, s3, ops string
}

const config = `data: %[1]s/data
listen: {api: 127.0.0.1:0, s3: 127.0.0.1:0, ops: 127.0.0.1:0}
allowed_paths: [%[1]s]
resources: [%[1]s/resources.yaml]
`

const resources = `kind: Bucket
name: documents
origin: {s3: {endpoint: "http://%s", bucket: storage, region: us-east-1, credentials: {static: {access_key_id: %s, secret_access_key_file: %s}}}}
---
kind: Role
name: soak
trust: [{service: {names: [soak]}}]
permissions:
  - bucket: documents
    prefixes: ["clients/"]
    actions: [get_object, put_object, delete_object, list_bucket, abort_multipart_upload, list_multipart_upload_parts]
`

func startGateway(program, folder string, o *origin) (*gateway, error) {
	key := filepath.Join(folder, "origin.key")
	for path, text := range map[string]string{
		key: originSecret, filepath.Join(folder, "countersign.yaml"): fmt.Sprintf(config, folder),
		filepath.Join(folder, "resources.yaml"): fmt.Sprintf(resources, o.address, originKey, key),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	log, err := os.Create(filepath.Join(folder, "countersign.log"))
	if err != nil {
		return nil, err
	}
	g := &gateway{data: filepath.Join(folder, "data"), log: log}
	g.command = exec.Command(program, "serve", "--log-level", "warn", "--config", filepath.Join(folder, "countersign.yaml")) //nolint:gosec // G204: the program under test
	// All load comes from one address and one role.
	g.command.Env = append(os.Environ(), "COUNTERSIGN_LIMITS_REQUESTS_PER_IDENTITY=1000000")
	g.command.Stdout, g.command.Stderr = log, log
	if err := g.command.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(started); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if g.ready() {
			return g, nil
		}
	}
	g.end()
	return nil, errors.New("countersign did not get ready; see " + log.Name())
}

func (g *gateway) ready() bool {
	text, err := os.ReadFile(filepath.Join(g.data, "listen.json"))
	var listen struct{ API, S3, Ops string }
	if err != nil || json.Unmarshal(text, &listen) != nil {
		return false
	}
	g.api, g.s3, g.ops = "http://"+listen.API, "http://"+listen.S3, "http://"+listen.Ops
	response, err := http.Get(g.ops + "/readyz")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (g *gateway) end() {
	_ = g.command.Process.Signal(syscall.SIGTERM)
	_ = g.command.Wait()
	_ = g.log.Close()
}

// session is what the STS minted or, without a token, an access key.
type session struct{ AccessKeyID, SecretAccessKey, SessionToken string }

// assume makes sessions of the role, as its service, and an access key.
func (g *gateway) assume(program string, count int) ([]session, error) {
	run := func(into any, environ []string, args ...string) error {
		command := exec.Command(program, append(args, "--data", g.data, "--output", "json")...) //nolint:gosec // G204: the program under test
		command.Env = append(os.Environ(), environ...)
		var said bytes.Buffer
		command.Stderr = &said
		out, err := command.Output()
		if err != nil {
			return fmt.Errorf("countersign %s: %w: %s", args[0], err, &said)
		}
		return json.Unmarshal(out, into)
	}
	var made struct {
		Secret string `json:"client_secret"`
	}
	if err := run(&made, nil, "service", "create", "soak", "--audience", "sts"); err != nil {
		return nil, err
	}
	environ := []string{"COUNTERSIGN_CLIENT_ID=soak", "COUNTERSIGN_CLIENT_SECRET=" + made.Secret}
	sessions := make([]session, count)
	for i := range sessions {
		if err := run(&sessions[i], environ, "assume", "--role", "soak"); err != nil {
			return nil, err
		}
	}
	var key struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	}
	if err := run(&key, nil, "access-key", "create", "soak", "--service", "soak", "--role", "soak"); err != nil {
		return nil, err
	}
	return append(sessions, session{AccessKeyID: key.ID, SecretAccessKey: key.Secret}), nil
}

// sample is what the gateway's process holds.
type sample struct{ resident, goroutines, files float64 }

func (g *gateway) sample() (s sample, err error) {
	response, err := http.Get(g.ops + "/metrics")
	if err != nil {
		return s, err
	}
	defer func() { _ = response.Body.Close() }()
	wanted := map[string]*float64{"process_resident_memory_bytes": &s.resident, "go_goroutines": &s.goroutines, "process_open_fds": &s.files}
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if into := wanted[name]; into != nil {
			if *into, err = strconv.ParseFloat(value, 64); err != nil {
				return s, err
			}
			delete(wanted, name)
		}
	}
	if len(wanted) > 0 {
		return s, errors.New("/metrics lacks what is sampled")
	}
	s.resident /= 1 << 20
	return s, nil
}
