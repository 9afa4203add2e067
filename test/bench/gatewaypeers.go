package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	sdk "github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

// The origin's own credentials; clients of the gateway never see them.
const (
	originKey    = "AKIAORIGINORIGIN0001"
	originSecret = "the-secret-of-the-origin-of-the-benchmark"
	region       = "us-east-1"
)

// serve starts a program that listens on address and waits until it does.
func serve(environ []string, address, name string, args ...string) (*process, error) {
	command := exec.Command(name, args...) //nolint:gosec // G204: the benchmark's own programs
	// What this machine trusts is no matter of loopback, and some programs fall over it.
	command.Env = append(slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "AWS_") }), environ...)
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		return nil, err
	}
	p := &process{command: command, url: "http://" + address}
	for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(5 * time.Millisecond) {
		var d net.Dialer
		if c, err := d.DialContext(context.Background(), "tcp", address); err == nil {
			return p, c.Close()
		}
	}
	p.end()
	return nil, fmt.Errorf("%s does not listen on %s", name, address)
}

// startVersity starts the origin on a folder.
func startVersity(program, folder string) (*process, error) {
	if err := os.MkdirAll(filepath.Join(folder, "origin", "objects"), 0o700); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return serve(nil, address, program, "--access", originKey, "--secret", originSecret, "--region", region,
		"--port", address, "--keep-alive", "posix", filepath.Join(folder, "origin"))
}

// startVersityProxy starts the same program as a proxy of S3 to the origin.
func startVersityProxy(program, origin, folder string) (*process, error) {
	meta := filepath.Join(folder, "iam")
	if err := os.MkdirAll(meta, 0o700); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	return serve(nil, address, program, "--access", originKey, "--secret", originSecret, "--region", region,
		"--port", address, "--keep-alive", "s3", "--endpoint", origin, "--access", originKey, "--secret", originSecret, "--use-path-style", "--disable-data-integrity-check")
}

// nginxConf is a plain reverse proxy. With keepalive it is as fast as nginx is made; without
// it is what nginx does when it is told nothing.
const nginxConf = `
daemon off; pid %[1]s/nginx.pid; error_log stderr error; worker_processes auto;
events { worker_connections 2048; }
http {
  access_log off; client_max_body_size 0;
  client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  upstream origin { server %[2]s; %[4]s }
  server { listen %[3]s; keepalive_requests 1000000; location / { proxy_pass http://origin; proxy_set_header Host $http_host; %[5]s } }
}`

const nginxFast = `proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; proxy_request_buffering off;`

// startNginx starts nginx in front of the origin.
func startNginx(folder, name, origin string, fast bool) (*process, error) {
	home := filepath.Join(folder, name)
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	keepalive, settings := "", ""
	if fast {
		keepalive, settings = "keepalive 64; keepalive_requests 1000000;", nginxFast
	}
	conf := filepath.Join(home, "nginx.conf")
	text := fmt.Sprintf(nginxConf, home, origin, address, keepalive, settings)
	if os.Geteuid() == 0 {
		text = "user root;" + text // its own user can't reach the folder
	}
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	program, err := exec.LookPath("nginx")
	if err != nil {
		program = "/usr/sbin/nginx"
	}
	return serve(nil, address, program, "-e", "stderr", "-c", conf, "-p", home)
}

// startProxies starts programs of Go's standard library that pass requests on and do nothing
// else: the floor of a gateway that is written in Go. program "" = without them.
func startProxies(program, origin string) (map[string]*process, error) {
	started := make(map[string]*process)
	if program == "" {
		return started, nil
	}
	for name, args := range map[string][]string{"httputil.ReverseProxy": nil, "bare net/http": {"-bare"}} {
		p, err := start(nil, program, append(args, "-proxy", origin)...)
		if err != nil {
			return started, err
		}
		started[name] = p
	}
	return started, nil
}

// putObject writes an object past every proxy.
func putObject(origin, key string, size int) error {
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(i * 7)
	}
	r, err := http.NewRequest(http.MethodPut, origin+"/objects/"+key, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.ContentLength = int64(size)
	err = sigv4.Sign(r, sigv4.Credentials{AccessKeyID: originKey, SecretAccessKey: sdk.NewSecret(originSecret)},
		sigv4.SignOptions{Region: region, Service: "s3", Time: time.Now(), PayloadHash: sigv4.HashPayload(body)})
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	said, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
	if response.StatusCode != http.StatusOK {
		return errors.New("put " + key + ": " + response.Status + " " + string(said))
	}
	return nil
}
