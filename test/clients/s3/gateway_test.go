//go:build clients

package s3clients

import (
	"slices"
	"strings"
	"testing"
)

// TestEveryClientByTheGateway: what they can do at versitygw, they can do at the gateway
// before it, with credentials that the STS minted.
func TestEveryClientByTheGateway(t *testing.T) {
	t.Parallel()
	runAll(t, overVersityGW(t, ""), func(string) bool { return true }, suite{})
}

// TestClientsOfAFolder and of moto: the origin's dialect is not the client's business, so
// some clients are enough.
func TestClientsOfAFolder(t *testing.T) {
	t.Parallel()
	runAll(t, overFolder(t, ""), oneOf("Go SDK", "boto3, newer", "rclone", "s3cmd"), suite{})
}

func TestClientsOfMoto(t *testing.T) {
	t.Parallel()
	runAll(t, overMoto(t, ""), oneOf("Go SDK", "boto3 of Debian"), suite{plain: true})
}

func oneOf(names ...string) func(string) bool {
	return func(name string) bool { return slices.Contains(names, name) }
}

// runAll runs the suite as each client, below a prefix for each.
func runAll(t *testing.T, w *world, takes func(name string) bool, like suite) {
	t.Helper()
	for name, open := range clients {
		if !takes(name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := suite{client: open, prefix: folderOf(name), target: w.target(w.assume(t, "document-writer")), plain: like.plain}
			if s.plain {
				s.prefix = strings.TrimSuffix(s.prefix, "/")
			}
			s.run(t)
		})
	}
}
