//go:build clients

package s3clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/countersign/countersign/test/foreign"
)

// TestExecGivesS3ToUnmodifiedPrograms: what INTERFACE promises, with nothing else set.
func TestExecGivesS3ToUnmodifiedPrograms(t *testing.T) {
	t.Parallel()
	w := overFolder(t, "")
	file := put(t, filepath.Join(t.TempDir(), "resume.pdf"), random(7, 20<<20))
	const script = `import boto3; print([o["Key"] for o in boto3.client("s3").list_objects_v2(Bucket="documents")["Contents"]]); ` +
		`print(boto3.client("s3").generate_presigned_url("get_object", Params={"Bucket": "documents", "Key": "resumes/acme/resume.pdf"}))`
	programs := map[string]struct {
		aws, python func(*testing.T) string
	}{
		"Debian's": {func(*testing.T) string { return debianCLI }, func(*testing.T) string { return debianPython }},
		"newer": {
			func(t *testing.T) string { return newer(t, "aws", debianCLI) },
			func(t *testing.T) string { return newer(t, "python3", debianPython) },
		},
	}
	for name, program := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := func(command ...string) string {
				t.Helper()
				args := append([]string{"exec", "--data", w.Data, "--role", "document-writer", "--"}, command...)
				return foreign.Output(t, foreign.Countersign(t, w.environ(), args...))
			}
			back := filepath.Join(t.TempDir(), "got")
			aws, python := program.aws(t), program.python(t)
			run(aws, "s3", "cp", file, "s3://documents/resumes/acme/")
			if out := run(aws, "s3", "ls", "s3://documents/resumes/acme/"); !strings.Contains(out, "20971520 resume.pdf") {
				t.Errorf("ls: %s", out)
			}
			if out := run(aws, "s3", "ls"); !strings.Contains(out, " documents") || strings.Contains(out, "another") {
				t.Errorf("buckets: %s", out)
			}
			run(aws, "s3", "cp", "s3://documents/resumes/acme/resume.pdf", back)
			sameFile(t, back, file)
			out := lines(run(python, "-c", script))
			if len(out) != 2 || out[0] != "['resumes/acme/resume.pdf']" {
				t.Fatalf("boto3: %q", out)
			}
			for _, link := range []string{out[1], strings.TrimSpace(run(aws, "s3", "presign", "s3://documents/resumes/acme/resume.pdf"))} {
				if !strings.HasPrefix(link, w.S3+"/documents/") || !strings.Contains(link, "X-Amz-Signature=") {
					t.Fatalf("link: %s", link)
				}
				if status, body := ask(t, newHTTPClient(t, target{}), "GET", link, nil); status != 200 || len(body) != 20<<20 {
					t.Errorf("a link gives %d, %d bytes", status, len(body))
				}
			}
		})
	}
}

// TestAssumedCredentialsInTheEnvironment: `eval "$(countersign assume …)"` is enough for the
// newer programs.
func TestAssumedCredentialsInTheEnvironment(t *testing.T) {
	t.Parallel()
	w := overFolder(t, "")
	aws := newer(t, "aws", debianCLI)
	out := foreign.Output(t, foreign.Command(t, w.environ("RUN_AS_COUNTERSIGN=1", "COUNTERSIGN="+os.Args[0], "DATA="+w.Data, "AWS="+aws, "AWS_DEFAULT_REGION=us-east-1"),
		"sh", "-ec", `eval "$("$COUNTERSIGN" assume --data "$DATA" --role document-writer)"; "$AWS" s3 ls`))
	if !strings.Contains(out, " documents") {
		t.Errorf("%s", out)
	}
}
