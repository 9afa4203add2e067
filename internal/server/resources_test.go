package server

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/config"
)

func configured(t *testing.T, data, resources string) (*Server, error) {
	t.Helper()
	cfg, err := config.Load("", []string{
		"COUNTERSIGN_DATA=" + data, "COUNTERSIGN_LISTEN_API=127.0.0.1:0", "COUNTERSIGN_LISTEN_S3=127.0.0.1:0", "COUNTERSIGN_LISTEN_OPS=127.0.0.1:0",
		"COUNTERSIGN_RESOURCES=" + resources,
	})
	if err != nil {
		t.Fatal(err)
	}
	return New(t.Context(), Options{Config: cfg})
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestResourcesAreAppliedAtStart(t *testing.T) {
	t.Parallel()
	data, folder := filepath.Join(t.TempDir(), "data"), t.TempDir()
	put(t, filepath.Join(folder, "a.yaml"), "kind: Service\nname: document-service\nscopes: [s2s:internal]\naudiences: [parse-service]\n---\nkind: Service\nname: parse-service\n")
	put(t, filepath.Join(folder, "deeper", "b.json"), `{"kind":"Service","name":"backend-actor"}`)
	put(t, filepath.Join(folder, ".hidden.yaml"), "nonsense: [")
	put(t, filepath.Join(folder, "README.md"), "nonsense: [")
	for _, round := range []string{"first", "second"} { // a restart changes nothing
		s, err := configured(t, data, folder)
		if err != nil {
			t.Fatal(round, err)
		}
		for _, name := range []string{"document-service", "parse-service", "backend-actor"} {
			service, err := s.admin.Service(t.Context(), name)
			if err != nil || service.Revision != 1 {
				t.Errorf("%s: %s: revision %d, %v", round, name, service.Revision, err)
			}
		}
		// Read-only elsewhere; the operator's lock works all the same (RULES A9).
		root := admin.Actor{ID: "local:0", SuperAdmin: true}
		if err := s.admin.DeleteObject(t.Context(), root, "Service", "parse-service", admin.AnyRevision); !errors.Is(err, countersign.Denied) {
			t.Errorf("delete: %v", err)
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRuleA9ResourcesDoNotEnable(t *testing.T) {
	t.Parallel()
	data, folder := filepath.Join(t.TempDir(), "data"), t.TempDir()
	put(t, filepath.Join(folder, "a.yaml"), "kind: Service\nname: document-service\n")
	s, err := configured(t, data, folder)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.admin.SetServiceDisabled(t.Context(), admin.Actor{ID: "local:0", SuperAdmin: true}, "document-service", admin.AnyRevision, true); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(folder, "a.yaml"), "kind: Service\nname: document-service\naudiences: [parse-service]\n")
	if s, err = configured(t, data, folder); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close(t.Context()) }()
	service, err := s.admin.Service(t.Context(), "document-service")
	if err != nil || !service.Disabled || len(service.Audiences) != 1 {
		t.Errorf("%+v, %v", service, err)
	}
}

func TestBadResourcesKeepTheServerFromStarting(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"unknown field": "kind: Service\nname: a\nscope: [x]\n",
		"unknown kind":  "kind: Sevice\nname: a\n",
		"twice":         "kind: Service\nname: a\n---\nkind: Service\nname: a\n",
		"incomplete":    "kind: Bucket\nname: abc\n",
		"broken":        "kind: [\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			put(t, filepath.Join(folder, "good.yaml"), "kind: Service\nname: good\n")
			put(t, filepath.Join(folder, "x-bad.yaml"), content)
			data := filepath.Join(t.TempDir(), "data")
			_, err := configured(t, data, folder)
			if !errors.Is(err, countersign.Invalid) || !strings.Contains(err.Error(), "x-bad.yaml:") {
				t.Fatalf("got %v", err)
			}
			s, err := configured(t, data, filepath.Join(folder, "good.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close(t.Context()) }()
			if service, err := s.admin.Service(t.Context(), "good"); err != nil || service.Revision != 1 {
				t.Errorf("nothing may be half-applied: %+v, %v", service, err)
			}
		})
	}
	if _, err := configured(t, filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "nowhere")); !errors.Is(err, countersign.Invalid) {
		t.Errorf("a missing folder: %v", err)
	}
}
