package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// agentMemory prints what an agent weighs that hands credentials out.
func agentMemory(o options, folder string) error {
	fmt.Println("\nagent, after 1000 requests for credentials")
	cs, _, err := startCountersign(o.binary, filepath.Join(folder, "agent-server"))
	if err != nil {
		return err
	}
	defer cs.end()
	role := filepath.Join(folder, "role.yaml")
	const document = `kind: Service
name: nightly
audiences: [sts]
---
kind: Role
name: writer
trust: [{service: {names: [nightly]}}]
permissions: [{bucket: documents, prefixes: [""], actions: [get_object]}]
`
	if err := os.WriteFile(role, []byte(document), 0o600); err != nil {
		return err
	}
	secret := filepath.Join(folder, "nightly.secret")
	for _, args := range [][]string{{"apply", "-f", role}, {"service", "rotate", "nightly", "--write", "file:" + secret}} {
		if out, err := exec.Command(o.binary, append(args, "--data", cs.data)...).CombinedOutput(); err != nil { //nolint:gosec // G204: the program under test
			return fmt.Errorf("%v: %w: %s", args, err, out)
		}
	}
	var resident []float64
	for turn := range max(o.rounds, 3) {
		size, err := oneAgent(o, cs, filepath.Join(folder, fmt.Sprintf("agent-%d", turn)), secret)
		if err != nil {
			return err
		}
		resident = append(resident, size)
	}
	row("resident memory", fmt.Sprintf("%.0f MiB", median(resident)), "≤ 40 MiB")
	return nil
}

func oneAgent(o options, cs *countersign, folder, secret string) (float64, error) {
	command := exec.Command(o.binary, "agent", "--server", cs.url, "--service", "nightly", "--role", "writer", //nolint:gosec // G204: the program under test
		"--listen", "127.0.0.1:0", "--folder", folder)
	command.Env = append(os.Environ(), "COUNTERSIGN_CLIENT_SECRET_FILE="+secret)
	out, err := command.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := command.Start(); err != nil {
		return 0, err
	}
	p := &process{command: command}
	defer p.end()
	text := make([]byte, 4096)
	n, err := io.ReadAtLeast(out, text, 1)
	if err != nil {
		return 0, fmt.Errorf("the agent said nothing: %w", err)
	}
	_, at, _ := strings.Cut(string(text[:n]), "export AWS_CONTAINER_CREDENTIALS_FULL_URI=")
	at, _, _ = strings.Cut(at, "\n")
	header, err := os.ReadFile(filepath.Join(folder, "authorization"))
	if err != nil {
		return 0, err
	}
	for range 1000 {
		r, err := http.NewRequest(http.MethodGet, at, http.NoBody)
		if err != nil {
			return 0, err
		}
		r.Header.Set("Authorization", string(header))
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return 0, err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return 0, fmt.Errorf("the agent answered %s", resp.Status)
		}
	}
	time.Sleep(time.Second)
	return p.residentMiB()
}
