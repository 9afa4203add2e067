//go:build clients

package s3clients

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/countersign/countersign/test/foreign"
)

// rclone is Debian's.
type rclone struct {
	target

	environ []string
}

func newRclone(t *testing.T, at target) client {
	environ := environ(at, "RCLONE_CONFIG="+filepath.Join(t.TempDir(), "rclone.conf"),
		"RCLONE_CONFIG_GATEWAY_TYPE=s3", "RCLONE_CONFIG_GATEWAY_PROVIDER=Other", "RCLONE_CONFIG_GATEWAY_ENDPOINT="+at.url,
		"RCLONE_CONFIG_GATEWAY_ACCESS_KEY_ID="+at.as.id, "RCLONE_CONFIG_GATEWAY_SECRET_ACCESS_KEY="+at.as.secret,
		"RCLONE_CONFIG_GATEWAY_SESSION_TOKEN="+at.as.token, "RCLONE_CONFIG_GATEWAY_REGION=us-east-1",
		// It would make the bucket otherwise.
		"RCLONE_CONFIG_GATEWAY_NO_CHECK_BUCKET=true", "RCLONE_CONFIG_GATEWAY_FORCE_PATH_STYLE="+strconv.FormatBool(!at.virtual),
		"RCLONE_CONFIG_GATEWAY_LIST_CHUNK=4", "RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1")
	if at.ca != "" {
		environ = append(environ, "RCLONE_CA_CERT="+at.ca)
	}
	kept := environ[:0]
	for _, entry := range environ {
		if !strings.HasPrefix(entry, "AWS_") { // it would take some of them before its own
			kept = append(kept, entry)
		}
	}
	return &rclone{target: at, environ: kept}
}

// can: it has no list of what it deletes, and no presigned PUT of its own to show.
func (r *rclone) can(op string) bool { return !contains([]string{"presign-put", "delete-many"}, op) }

// rcloneCode is how AWS's older Go SDK says it: "AccessDenied: access denied\n\tstatus
// code: 403". Of HEAD there is the name of the status alone.
var rcloneCode = regexp.MustCompile(`([A-Z][A-Za-z]+): [^:\n]*\n\tstatus code: \d+`)

// parts makes what is 16 MiB or more be sent, and copied, in parts.
var parts = []string{"--s3-upload-cutoff", "16Mi", "--s3-chunk-size", "8Mi", "--s3-copy-cutoff", "16Mi"}

func (r *rclone) at(key string) string { return "gateway:" + r.bucket + "/" + key }

func (r *rclone) args(s step) []string {
	switch s.Op {
	case "put": // one PUT, which it presigns
		args := []string{"copyto", s.File, r.at(s.Key), "--header-upload", "Content-Type: " + s.Type}
		for name, value := range s.Metadata {
			args = append(args, "--header-upload", "X-Amz-Meta-"+name+": "+value)
		}
		return args
	case "get", "download":
		return []string{"copyto", r.at(s.Key), s.File}
	case "range":
		return []string{"cat", r.at(s.Key), "--offset", strconv.FormatInt(s.First, 10), "--count", strconv.FormatInt(s.Last-s.First+1, 10)}
	case "head":
		return []string{"lsjson", "--stat", "--metadata", r.at(s.Key)}
	case "list":
		return []string{"lsf", "--files-only", "--recursive", r.at(s.Key)}
	case "buckets":
		return []string{"lsf", "gateway:"}
	case "copy":
		return append([]string{"copyto", r.at(s.Key), r.at(s.To)}, parts...)
	case "upload":
		return append([]string{"copyto", s.File, r.at(s.Key)}, parts...)
	case "put-folder":
		return []string{"copy", s.Folder, r.at(s.Key)}
	case "get-folder":
		return []string{"copy", r.at(s.Key), s.Folder}
	case "delete":
		return []string{"deletefile", r.at(s.Key)}
	case "presign-get":
		return []string{"link", "--expire", "5m", r.at(s.Key)}
	}
	return nil
}

func (r *rclone) do(t *testing.T, s step) answer {
	t.Helper()
	args := r.args(s)
	if args == nil {
		return unknown(t, s)
	}
	if s.Op == "get" {
		_ = os.Remove(s.File)
	}
	out, a := refusedBy(foreign.Command(t, r.environ, "rclone", args...), rcloneCode)
	if a.Error != "" {
		if a.Error == "?" && strings.Contains(a.Said, "not found") {
			a.Error = "NotFound"
		}
		return a
	}
	switch s.Op {
	case "get": // it takes what isn't there for a folder, of which it copies nothing
		if _, err := os.Stat(s.File); err != nil {
			return answer{Error: "NotFound"}
		}
	case "list":
		for _, line := range lines(out) {
			a.Keys = append(a.Keys, s.Key+line)
		}
	case "buckets":
		for _, line := range lines(out) {
			a.Keys = append(a.Keys, strings.TrimSuffix(line, "/"))
		}
	case "presign-get":
		a.URL = strings.TrimSpace(out)
	case "range":
		if err := os.WriteFile(s.File, []byte(out), 0o600); err != nil {
			t.Fatal(err)
		}
	case "head":
		var head struct {
			Size     int64
			MimeType string
			Metadata map[string]string
		}
		if err := json.Unmarshal([]byte(out), &head); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		if head.Size < 0 {
			return answer{Error: "NotFound"} // the same
		}
		a.Size, a.Type, a.Metadata = head.Size, head.MimeType, head.Metadata
	}
	return a
}
