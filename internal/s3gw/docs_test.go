package s3gw_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/s3gw"
)

// The guide has every operation with its rights, and every header that needs one.
func TestOperationsAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/s3-gateway.md")
	if err != nil {
		t.Fatal(err)
	}
	actions := make(map[string]bool)
	for _, a := range policy.S3Actions() {
		actions[a.Name] = true
	}
	for _, row := range s3gw.Rows() {
		_, rest, found := strings.Cut(string(text), fmt.Sprintf("\n| `%s` | ", row.Name))
		line, _, _ := strings.Cut(rest, "\n")
		if !found || row.Action != "" && !strings.Contains(line, "`"+row.Action+"`") || row.Version != "" && !strings.Contains(line, "`"+row.Version+"`") {
			t.Errorf("%s: %q", row.Name, line)
		}
		for _, action := range []string{row.Action, row.Version} {
			if action != "" && !actions[action] {
				t.Errorf("%s needs %s, which no permission can name", row.Name, action)
			}
		}
		for header, action := range row.Headers {
			if action != "" && (!actions[action] || !strings.Contains(string(text), "| `"+action+"` |\n")) {
				t.Errorf("%s needs %s", header, action)
			}
		}
	}
}
