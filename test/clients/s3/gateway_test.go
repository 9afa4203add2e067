//go:build clients

package s3clients

import (
	"slices"
	"strings"
	"testing"
)

// TestEveryClientByTheGateway: what they can do at versitygw, they can do at the gateway
// before it, with credentials that the STS minted. Those two that mostly run where there is
// no token to be had do it with access keys.
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
	runAll(t, overMoto(t, ""), oneOf("boto3 of Debian", "boto3, newer"), suite{plain: true})
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
			s := suite{client: open, prefix: folderOf(name), plain: like.plain}
			if name == "rclone" || name == "s3cmd" {
				s.target = w.target(w.accessKey(t, name, "document-writer"))
			} else {
				s.target = w.target(w.assume(t, "document-writer"))
			}
			if s.plain {
				s.prefix = strings.TrimSuffix(s.prefix, "/")
			}
			s.run(t)
		})
	}
}
