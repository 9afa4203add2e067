//go:build clients

package s3clients

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/countersign/countersign/test/foreign"
)

func contains(list []string, one string) bool { return slices.Contains(list, one) }

// tail keeps the end of what is written.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (w *tail) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.text = append(w.text, p...)
	if len(w.text) > 64<<10 {
		w.text = w.text[len(w.text)-64<<10:]
	}
	return len(p), nil
}

func (w *tail) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return string(w.text)
}

// refusedBy runs a command and returns what it prints; a failure is an answer with the
// code that said shows, or "?".
func refusedBy(command *exec.Cmd, code *regexp.Regexp) (out string, a answer) {
	out, errOut, err := foreign.Try(command)
	if err == nil {
		return out, answer{}
	}
	a = answer{Error: "?", Said: out + errOut}
	if match := code.FindStringSubmatch(errOut + out); match != nil {
		a.Error = match[1]
	}
	return out, a
}

// lines are those of a text, without their ends.
func lines(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			all = append(all, line)
		}
	}
	return all
}

// behind returns what stands behind a mark in each line that has it.
func behind(text, mark string) []string {
	var all []string
	for _, line := range lines(text) {
		if _, rest, found := strings.Cut(line, mark); found {
			all = append(all, rest)
		}
	}
	return all
}

// unknown ends the test: the suite asked for what can said it can't.
func unknown(t *testing.T, s step) answer {
	t.Helper()
	t.Fatalf("nobody told this client how to %s", s.Op)
	return answer{}
}
