package cli_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/internal/cli"
	"github.com/countersign/countersign/internal/fixture"
)

// awsCLIs are the AWS CLIs of this machine: Debian's is one that knows no
// AWS_ENDPOINT_URL_STS.
func awsCLIs() []string {
	var found []string
	for _, name := range []string{"/usr/bin/aws", "aws"} {
		path, err := exec.LookPath(name)
		if err == nil && (len(found) == 0 || found[0] != path) {
			found = append(found, path)
		}
	}
	return found
}

// The real server, and the real AWS CLI of whatever age.
func TestExecAWSCLI(t *testing.T) {
	t.Parallel()
	programs := awsCLIs()
	switch {
	case testing.Short():
		t.Skip("the AWS CLI takes a second to start")
	case len(programs) == 0:
		fixture.MissingTool(t, "AWS CLI")
	}
	s := authtest.New(t)
	s.Apply(t, "kind: Role\nname: document-writer\ntrust:\n  - service: {names: [nightly]}\npermissions:\n  - {bucket: documents, prefixes: [\"\"], actions: [get_object]}\n")
	nightly := s.CreateService(t, "nightly", authtest.Service{Audiences: []string{"sts"}})
	sh := shell{t: t, environ: append(os.Environ(), "COUNTERSIGN_SERVER="+s.URL, "COUNTERSIGN_CLIENT_SECRET="+nightly.Secret.Reveal())}
	for _, program := range programs {
		got := sh.want(cli.ExitOK, []string{"arn:aws:sts::000000000000:assumed-role/document-writer/nightly"},
			"exec", "--service", "nightly", "--role", "document-writer", "--", program, "sts", "get-caller-identity")
		if strings.Contains(got.stderr, "arning") {
			t.Errorf("%s: %s", program, got.stderr)
		}
		// There is no gateway: no session token of ours goes to the S3 of AWS instead.
		if got := sh.run("exec", "--service", "nightly", "--role", "document-writer", "--", program, "s3api", "head-bucket", "--bucket", "documents"); got.code == 0 || strings.Contains(got.stderr, "amazonaws.com") {
			t.Errorf("%s: exit %d, %s%s", program, got.code, got.stdout, got.stderr)
		}
	}
	sh.want(cli.ExitFailed, []string{"AccessDenied"}, "exec", "--service", "nightly", "--role", "another", "--", programs[0], "--version")
}
