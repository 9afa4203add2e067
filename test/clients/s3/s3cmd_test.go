//go:build clients

package s3clients

import (
	"cmp"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/test/foreign"
)

// s3cmd is Debian's.
type s3cmd struct {
	target

	config  string
	environ []string
}

func newS3cmd(t *testing.T, at target) client {
	address, err := url.Parse(at.url)
	if err != nil {
		t.Fatal(err)
	}
	bucketHost := address.Host
	if at.virtual {
		bucketHost = "%(bucket)s." + address.Host
	}
	yes := map[bool]string{true: "True", false: "False"}
	proxy := new(url.URL)
	if at.proxy != "" {
		if proxy, err = url.Parse(at.proxy); err != nil {
			t.Fatal(err)
		}
	}
	config := write(t, filepath.Join(t.TempDir(), "s3cfg"), strings.Join([]string{
		"[default]", "access_key = " + at.as.id, "secret_key = " + at.as.secret, "access_token = " + at.as.token,
		"host_base = " + address.Host, "host_bucket = " + bucketHost, "use_https = " + yes[address.Scheme == "https"],
		"ca_certs_file = " + at.ca, "bucket_location = us-east-1", "multipart_chunk_size_mb = 8", "max_retries = 1",
		"acl_public = False", // else its copies read and write ACLs
		"proxy_host = " + proxy.Hostname(), "proxy_port = " + cmp.Or(proxy.Port(), "0"), "",
	}, "\n"))
	return &s3cmd{target: at, config: config, environ: foreign.Environ("LC_ALL=C.UTF-8")}
}

// can: its links are of SigV2, and its info asks for ACLs.
func (c *s3cmd) can(op string) bool {
	return !contains([]string{"presign-get", "presign-put", "head"}, op)
}

var s3cmdCode = regexp.MustCompile(`\b\d{3} \((\w+)\)`)

func (c *s3cmd) s3(key string) string { return "s3://" + c.bucket + "/" + key }

func (c *s3cmd) args(t *testing.T, s step) []string {
	t.Helper()
	switch s.Op {
	case "put":
		args := []string{"put", s.File, c.s3(s.Key), "--mime-type", s.Type}
		for name, value := range s.Metadata {
			args = append(args, "--add-header", "x-amz-meta-"+name+":"+value)
		}
		return args
	case "upload":
		return []string{"put", s.File, c.s3(s.Key)}
	case "get", "download":
		return []string{"get", "--force", c.s3(s.Key), s.File}
	case "range": // the rest of what is there in part
		write(t, s.File, strings.Repeat("x", int(s.First)))
		return []string{"get", "--continue", c.s3(s.Key), s.File}
	case "list":
		return []string{"ls", "--recursive", c.s3(s.Key)}
	case "buckets":
		return []string{"ls"}
	case "copy":
		return []string{"cp", c.s3(s.Key), c.s3(s.To)}
	case "put-folder":
		return []string{"put", "--recursive", s.Folder + "/", c.s3(s.Key)}
	case "get-folder":
		return []string{"get", "--recursive", c.s3(s.Key), s.Folder + "/"}
	case "delete":
		return []string{"del", c.s3(s.Key)}
	case "delete-many":
		args := []string{"del"}
		for _, key := range s.Keys {
			args = append(args, c.s3(key))
		}
		return args
	}
	return nil
}

func (c *s3cmd) do(t *testing.T, s step) answer {
	t.Helper()
	args := c.args(t, s)
	if args == nil {
		return unknown(t, s)
	}
	out, a := refusedBy(foreign.Command(t, c.environ, "s3cmd", append([]string{"--config", c.config, "--no-progress"}, args...)...), s3cmdCode)
	if a.Error != "" {
		if a.Error == "?" && strings.Contains(a.Said, "does not exist") {
			a.Error = "NotFound" // in its own words
		}
		return a
	}
	switch s.Op {
	case "list":
		a.Keys = behind(out, "s3://"+c.bucket+"/")
	case "buckets":
		a.Keys = behind(out, "s3://")
	case "range":
		whole, err := os.ReadFile(s.File)
		if err != nil {
			t.Fatal(err)
		}
		whole = whole[s.First:]
		if n := s.Last - s.First + 1; int64(len(whole)) > n {
			whole = whole[:n]
		}
		write(t, s.File, string(whole))
	case "delete-many":
		for _, line := range behind(out, "delete: '"+c.s3("")) {
			a.Keys = append(a.Keys, strings.TrimSuffix(line, "'"))
		}
	}
	return a
}
