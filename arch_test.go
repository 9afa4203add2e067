package countersign_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/countersign/countersign"

// layers is DESIGN §3: imports go downward only, and never within a layer. A package
// that is not listed here fails the test.
var layers = map[string]int{
	"": 0,

	"egress": 1, "condition": 1, "sigv4": 1, "pattern": 1, "internal/config": 1, "internal/hostpath": 1, "internal/web": 1, "internal/telemetry": 1, "internal/store": 1,

	"verify": 2, "tokensource": 2, "routepolicy": 2, "internal/store/sqlstore": 2, "internal/store/storetest": 2,
	"internal/keys": 2, "internal/audit": 2, "internal/s3api": 2, "internal/policy": 2, "internal/iamclient": 2, "internal/loginproof": 2, "internal/awssts": 2, "internal/directory": 2,

	"transport": 3, "middleware": 3, "auditclient": 3, "awscreds": 3, "internal/token": 3,
	"internal/resource": 3, "internal/session": 3, "internal/s3dir": 3, "internal/backup": 3,
	"internal/trust":    3,
	"internal/registry": 4, "internal/broker": 4, "internal/lint": 4,
	"internal/admin": 5, "internal/authn": 5, "internal/s3origin": 5, "internal/fixture": 5,
	"internal/oauth": 6, "internal/iam": 6, "internal/sts": 6, "internal/s3gw": 6,
	"internal/server": 7, "internal/agent": 7, "internal/cognitoseed": 7,
	"authtest":     8,
	"internal/cli": 9, "internal/demo": 9,
	"cmd/countersign": 10,
}

// publicModules are the modules that a public package may link (besides our own and
// the standard library). authtest brings the whole server along.
var publicModules = []string{"github.com/go-jose/go-jose/v4", "golang.org/x/sync"}

// celModules are what the CEL library brings along.
var celModules = []string{
	"github.com/google/cel-go", "cel.dev/expr", "github.com/antlr4-go/antlr/v4", "go.yaml.in/yaml/v3",
	"golang.org/x/exp", "golang.org/x/text", "google.golang.org/genproto/googleapis/api",
	"google.golang.org/genproto/googleapis/rpc", "google.golang.org/protobuf",
}

// publicModulesOf are modules that one public package may link besides publicModules.
var publicModulesOf = map[string][]string{
	"awscreds":    {"github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go"},
	"condition":   celModules,
	"routepolicy": append([]string{"github.com/goccy/go-yaml"}, celModules...),
}

// publicExempt are public packages that are not held to publicModules.
var publicExempt = []string{"authtest"}

// onlyImporters: who alone may import a package, so that wiring stays in one place.
// Test files may import more; nothing else may import what is for them.
var onlyImporters = map[string][]string{
	"internal/store/sqlstore": {"internal/server", "internal/fixture"},
	"internal/fixture":        {},
	"internal/config":         {"internal/server", "internal/cli", "internal/demo", "internal/resource", "authtest"},
}

type goPackage struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
	Module     *struct{ Path string }
}

func TestArchitectureLayersPointDownward(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t, "./...") {
		from := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		if strings.HasPrefix(from, "test/") || strings.HasPrefix(from, "examples/") {
			continue
		}
		layer, known := layers[from]
		if !known {
			t.Errorf("%s has no layer: add it to the table in arch_test.go and to docs/ARCHITECTURE.md", p.ImportPath)
			continue
		}
		for _, imported := range p.Imports {
			to, ours := strings.CutPrefix(imported, module)
			if !ours {
				continue
			}
			to = strings.TrimPrefix(to, "/")
			if layers[to] >= layer {
				t.Errorf("%s (layer %d) imports %s (layer %d): imports go downward only", from, layer, to, layers[to])
			}
			if allowed, limited := onlyImporters[to]; limited && !slices.Contains(allowed, from) {
				t.Errorf("%s imports %s: only %v may", from, to, allowed)
			}
		}
	}
}

func TestArchitecturePublicPackagesDependOnLittle(t *testing.T) {
	t.Parallel()
	all := make(map[string]goPackage)
	for _, p := range listPackages(t, "-deps", "./...") {
		all[p.ImportPath] = p
	}
	for path, p := range all {
		name, ours := strings.CutPrefix(path, module)
		name = strings.TrimPrefix(name, "/")
		first, _, _ := strings.Cut(name, "/")
		if !ours || slices.Contains([]string{"internal", "cmd", "test", "examples"}, first) || slices.Contains(publicExempt, name) {
			continue
		}
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, module+"/internal/") {
				t.Errorf("public package %q imports %s", name, dep)
			}
			d, known := all[dep]
			if !known || d.Standard || d.Module == nil || d.Module.Path == module {
				continue
			}
			if !slices.Contains(publicModules, d.Module.Path) && !slices.Contains(publicModulesOf[name], d.Module.Path) {
				t.Errorf("public package %q links module %s (by %s)", name, d.Module.Path, dep)
			}
		}
	}
}

func TestArchitectureAuthtestDoesNotImportTesting(t *testing.T) {
	t.Parallel()
	for _, p := range listPackages(t, "./authtest") {
		if slices.Contains(p.Deps, "testing") {
			t.Error("authtest links testing: its users' binaries would get the test flags")
		}
	}
}

func listPackages(t *testing.T, args ...string) []goPackage {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Imports,Deps,Standard,Module"}, args...)...)
	command.Stderr = t.Output()
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		packages = append(packages, p)
	}
}
