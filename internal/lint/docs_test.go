package lint_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/lint"
	"github.com/countersign/countersign/internal/policy"
)

// The tables in docs/roles.md are those of the code.
func TestRolesAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/roles.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range lint.Rules() {
		allowed := ""
		if r.Overridable {
			allowed = "yes"
		}
		if row := fmt.Sprintf("| `%s` | %s | %s | %s |\n", r.Name, r.Severity, allowed, r.About); !strings.Contains(string(text), row) {
			t.Errorf("no row %s", row)
		}
	}
	for _, a := range policy.S3Actions() {
		if row := fmt.Sprintf("| `%s` | `s3:%s` |", a.Name, a.IAM); !strings.Contains(string(text), row) {
			t.Errorf("no row %s", row)
		}
	}
}
