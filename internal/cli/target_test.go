package cli_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/cli"
)

// Whoever can plant ./countersign-data into a folder like /tmp must not get the secrets
// and tokens of those who run the command line there.
func TestPlantedDataFolderGetsNoSecret(t *testing.T) {
	plant := map[string]func() error{
		"of another user": func() error { return os.Chown("countersign-data", 12345, -1) },
		"open to others":  func() error { return os.Chmod("countersign-data", 0o777) },
	}
	for name, change := range plant {
		t.Run(name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.Mkdir("countersign-data", 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile("countersign-data/listen.json", []byte(`{"api":"127.0.0.1:1","url":"http://127.0.0.1:1"}`), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := change(); err != nil {
				t.Skip("not allowed here: ", err)
			}
			for _, args := range [][]string{
				{"token", "--service", "a", "--audience", "b"},
				{"verify", "x.y.z"},
				{"revoke", "token", "x.y.z"},
				{"get", "service"},
			} {
				var stderr bytes.Buffer
				code := cli.Run(context.Background(), cli.Process{
					Args: args, Environ: []string{"COUNTERSIGN_CLIENT_SECRET=csk_x"}, Stdin: strings.NewReader(""),
					Stdout: &bytes.Buffer{}, Stderr: &stderr,
				})
				if code != cli.ExitFailed || !strings.Contains(stderr.String(), "not yours alone") {
					t.Errorf("%v: exit %d, %s", args, code, &stderr)
				}
			}
		})
	}
}
