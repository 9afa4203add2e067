//go:build clients

package s3clients

import (
	"bufio"
	"encoding/json"
	"io"
	"path/filepath"
	"testing"

	"github.com/countersign/countersign/test/foreign"
)

// script is a program that reads steps and prints answers, a line each.
type script struct {
	in   io.WriteCloser
	out  *bufio.Reader
	said tail
}

func newScript(t *testing.T, environ []string, program string, args ...string) *script {
	t.Helper()
	command := foreign.Command(t, environ, program, args...)
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s := &script{in: in, out: bufio.NewReader(out)}
	command.Stderr = &s.said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = command.Wait()
	})
	return s
}

func (*script) can(string) bool { return true }

func (s *script) do(t *testing.T, what step) answer {
	t.Helper()
	line, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.in.Write(append(line, '\n')); err != nil {
		t.Fatalf("%s: %v", what.Op, err)
	}
	text, err := s.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("%s %q: no answer: %v\n%s", what.Op, what.Key, err, &s.said)
	}
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return a
}

func newBoto3(t *testing.T, python string, at target) client {
	return newScript(t, environ(at), python, filepath.Join("testdata", "s3_boto3.py"), at.url, at.bucket, at.style())
}

func newJavaScript(t *testing.T, at target) client {
	environ := environ(at, "NPM="+foreign.NPM(t), "NODE_NO_WARNINGS=1")
	if at.oneByOne {
		environ = append(environ, "ONE_BY_ONE=true")
	}
	return newScript(t, environ, "node",
		filepath.Join("testdata", "s3_client.mjs"), at.url, at.bucket, at.style())
}
