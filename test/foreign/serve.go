//go:build clients

package foreign

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// Served is a running countersign, started as people start it.
type Served struct {
	// Folder has its files, Data its data.
	Folder, Data string
	// API, S3 and Ops are base URLs.
	API, S3, Ops string
}

var isUp = regexp.MustCompile(`countersign .* is up`)

// Serve starts `countersign serve` with the lines of a config, beside those about where it
// listens and keeps its data, and with resource documents. folder is for more files that
// they name: they may lie below it.
func Serve(t *testing.T, folder, config, resources string) Served {
	t.Helper()
	s := Served{Folder: folder, Data: filepath.Join(folder, "countersign-data")}
	for name, text := range map[string]string{
		"countersign.yaml": "data: ./countersign-data\nlisten: {api: 127.0.0.1:0, s3: 127.0.0.1:0, ops: 127.0.0.1:0}\n" +
			"allowed_paths: [.]\nresources: [./resources.yaml]\n" + config,
		"resources.yaml": resources,
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	Start(t, Countersign(t, Environ(), "serve", "--log-level", "warn", "--config", filepath.Join(folder, "countersign.yaml")), isUp)
	text, err := os.ReadFile(filepath.Join(s.Data, "listen.json"))
	if err != nil {
		t.Fatal(err)
	}
	var listen struct{ API, S3, Ops string }
	if err := json.Unmarshal(text, &listen); err != nil {
		t.Fatal(err)
	}
	s.API, s.S3, s.Ops = "http://"+listen.API, "http://"+listen.S3, "http://"+listen.Ops
	return s
}
