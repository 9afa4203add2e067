//go:build clients

package s3clients

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/countersign/countersign/test/foreign"
)

// versityGW is an S3 server that checks signatures itself, on a folder: what is a folder
// in there is a bucket.
type versityGW struct {
	foreign.S3Server

	folder string
}

func newVersityGW(t *testing.T) versityGW {
	t.Helper()
	folder := t.TempDir()
	return versityGW{S3Server: foreign.VersityGW(t, folder), folder: folder}
}

func (v versityGW) bucket(t *testing.T, name string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(v.folder, name), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}
