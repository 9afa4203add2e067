//go:build clients

// Package s3clients runs S3 clients that nobody here wrote against the gateway: what each
// of them is made to do is written once, in suite_test.go, and they all do it. The same
// suite runs against versitygw without the gateway, so that it says of a client what it
// can, and of the gateway what it breaks.
package s3clients

import (
	"testing"

	"github.com/countersign/countersign/test/foreign"
)

func TestMain(m *testing.M) { foreign.Main(m) }

// TestEveryClientWithoutTheGateway is the suite's own test.
func TestEveryClientWithoutTheGateway(t *testing.T) {
	t.Parallel()
	origin := newVersityGW(t)
	for name, open := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := suite{client: open, prefix: folderOf(name), target: target{
				url: origin.URL, bucket: origin.bucket(t, "documents"), as: credentials{origin.AccessKeyID, origin.Secret, ""}, oneByOne: true,
			}}
			s.run(t)
		})
	}
}
