package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server that was started here and is ended here.
type process struct {
	command *exec.Cmd
	url     string
}

// start runs a program that prints its address as the first line.
func start(environ []string, name string, args ...string) (*process, error) {
	command := exec.Command(name, args...) //nolint:gosec // G204: the benchmark's own programs
	command.Env = append(os.Environ(), environ...)
	out, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = command.Process.Kill()
		return nil, fmt.Errorf("%s printed no address: %w", name, err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
	return &process{command: command, url: "http://" + strings.TrimSpace(line)}, nil
}

func (p *process) end() {
	if p == nil {
		return
	}
	_ = p.command.Process.Signal(syscall.SIGTERM)
	_ = p.command.Wait()
}

// countersign is a server on a fresh data folder.
type countersign struct {
	process
	data, ops, s3, secret string
}

type addresses struct{ API, S3, Ops string }

// startCountersign starts a server and waits until it is ready; took is how long that was.
func startCountersign(binary, data string, environ ...string) (c *countersign, took time.Duration, err error) {
	began := time.Now()
	command := exec.Command(binary, "serve", "--data", data, "--log-level", "warn") //nolint:gosec // G204: the program under test
	_ = os.Remove(filepath.Join(data, "listen.json"))                               // an earlier start's
	// The limits by address and identity would be measured otherwise: all load comes from one.
	command.Env = append(os.Environ(), "COUNTERSIGN_LISTEN_API=127.0.0.1:0", "COUNTERSIGN_LISTEN_S3=127.0.0.1:0", "COUNTERSIGN_LISTEN_OPS=127.0.0.1:0",
		"COUNTERSIGN_LIMITS_REQUESTS_PER_IDENTITY=1000000")
	command.Env = append(command.Env, environ...)
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		return nil, 0, err
	}
	c = &countersign{process: process{command: command}, data: data}
	for time.Since(began) < 30*time.Second {
		if c.ready() {
			return c, time.Since(began), nil
		}
		time.Sleep(time.Millisecond)
	}
	c.end()
	return nil, 0, errors.New("countersign did not get ready in 30 s")
}

func (c *countersign) ready() bool {
	body, err := os.ReadFile(filepath.Join(c.data, "listen.json"))
	if err != nil {
		return false
	}
	var listen addresses
	if json.Unmarshal(body, &listen) != nil {
		return false
	}
	c.url, c.s3, c.ops = "http://"+listen.API, "http://"+listen.S3, "http://"+listen.Ops
	response, err := http.Get(c.ops + "/readyz")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// register makes the service whose tokens are asked for.
func (c *countersign) register(binary string) error {
	out, err := exec.Command(binary, "service", "create", "document-service", "--scope", "s2s:internal", //nolint:gosec // G204
		"--audience", "parse-service", "--data", c.data, "--output", "json").Output()
	if err != nil {
		return fmt.Errorf("service create: %w", err)
	}
	var credentials struct {
		Secret string `json:"client_secret"`
	}
	if err := json.Unmarshal(out, &credentials); err != nil {
		return err
	}
	c.secret = credentials.Secret
	return nil
}

// apply saves documents.
func (c *countersign) apply(binary, documents string) error {
	command := exec.Command(binary, "apply", "-f", "-", "--data", c.data) //nolint:gosec // G204: the program under test
	command.Stdin = strings.NewReader(documents)
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("apply: %w: %s", err, out)
	}
	return nil
}

// metric reads one value of /metrics.
func (c *countersign) metric(name string) (float64, error) {
	response, err := http.Get(c.ops + "/metrics")
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), name+" "); found {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("no metric %s", name)
}

// tick is the unit of CPU time in /proc: USER_HZ, which is 100 on every Linux that Go
// runs on.
const tick = time.Second / 100

// cpu is the time that the process has computed, in user and kernel mode.
func (c *process) cpu() time.Duration {
	if c == nil {
		return 0
	}
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.command.Process.Pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(body), ") ") // the name may have spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * tick
}

// residentMiB is the process's resident memory.
func (c *process) residentMiB() (float64, error) {
	body, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.command.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		if rest, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024, err
		}
	}
	return 0, errors.New("no VmRSS")
}
