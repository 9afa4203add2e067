package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/cli"
)

func TestFilesAndPipesAreNoTerminals(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]*os.File{"file": file, "pipe": reader} {
		if cli.IsTerminal(f) {
			t.Errorf("a %s is no terminal", name)
		}
	}
	for _, f := range []*os.File{file, reader, writer} {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	if cli.IsTerminal(file) {
		t.Error("a closed file is no terminal")
	}
}

// Ctrl-C at a question is a no, though the terminal still waits for an answer.
func TestQuestionEndsWithTheContext(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = writer.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	asked := &notify{said: make(chan struct{})}
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Run(ctx, cli.Process{
			Args: []string{"revoke", "all", "--data", t.TempDir()}, Stdin: reader,
			Stdout: &bytes.Buffer{}, Stderr: asked, Terminal: true,
		})
	}()
	<-asked.said
	cancel()
	select {
	case code := <-ended:
		if code != cli.ExitFailed {
			t.Errorf("exit %d", code)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it still waits for an answer")
	}
}

// notify closes said when a question was asked.
type notify struct{ said chan struct{} }

func (n *notify) Write(text []byte) (int, error) {
	if strings.Contains(string(text), "[yes/no]") {
		close(n.said)
	}
	return len(text), nil
}
