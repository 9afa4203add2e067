package cli_test

import (
	"os"
	"path/filepath"
	"testing"

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
