//go:build clients

package s3clients

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/test/foreign"
)

// cli is AWS's command line.
type cli struct {
	target

	program string
	environ []string
}

func newCLI(t *testing.T, program string, at target) client {
	config := write(t, filepath.Join(t.TempDir(), "config"), "[default]\ns3 =\n    signature_version = s3v4\n    addressing_style = "+at.style()+"\n")
	return &cli{target: at, program: program, environ: environ(at, "AWS_CONFIG_FILE="+config)}
}

// can: it has no presigned PUT.
func (c *cli) can(op string) bool { return op != "presign-put" }

// The CLI has the code in brackets, or in its own words.
var cliCode = regexp.MustCompile(`An error occurred \((\w+)\)`)

func (c *cli) s3(key string) string { return "s3://" + c.bucket + "/" + key }

func (c *cli) api(name, key string, more ...string) []string {
	return append([]string{"s3api", name, "--bucket", c.bucket, "--key", key}, more...)
}

func (c *cli) args(t *testing.T, s step) []string {
	t.Helper()
	switch s.Op {
	case "put":
		args := c.api("put-object", s.Key, "--body", s.File, "--content-type", s.Type)
		if len(s.Metadata) > 0 {
			args = append(args, "--metadata", document(t, s.Metadata))
		}
		return args
	case "get":
		return c.api("get-object", s.Key, s.File)
	case "range":
		return c.api("get-object", s.Key, "--range", fmt.Sprintf("bytes=%d-%d", s.First, s.Last), s.File)
	case "head":
		return c.api("head-object", s.Key)
	case "list":
		return []string{"s3api", "list-objects-v2", "--bucket", c.bucket, "--prefix", s.Key, "--page-size", "4", "--query", "Contents[].Key", "--output", "json"}
	case "buckets":
		return []string{"s3api", "list-buckets", "--query", "Buckets[].Name", "--output", "json"}
	case "copy":
		return []string{"s3", "cp", c.s3(s.Key), c.s3(s.To)}
	case "upload":
		return []string{"s3", "cp", s.File, c.s3(s.Key)}
	case "download":
		return []string{"s3", "cp", c.s3(s.Key), s.File}
	case "put-folder":
		return []string{"s3", "cp", "--recursive", s.Folder, c.s3(s.Key)}
	case "get-folder":
		return []string{"s3", "sync", c.s3(s.Key), s.Folder}
	case "delete":
		return []string{"s3", "rm", c.s3(s.Key)}
	case "delete-many":
		type object struct{ Key string }
		var objects []object
		for _, key := range s.Keys {
			objects = append(objects, object{key})
		}
		return []string{"s3api", "delete-objects", "--bucket", c.bucket, "--delete", document(t, map[string]any{"Objects": objects})}
	case "presign-get":
		return []string{"s3", "presign", c.s3(s.Key), "--expires-in", "300"}
	}
	return nil
}

func document(t *testing.T, of any) string {
	t.Helper()
	text, err := json.Marshal(of)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (c *cli) do(t *testing.T, s step) answer {
	t.Helper()
	args := c.args(t, s)
	if args == nil {
		return unknown(t, s)
	}
	out, a := refusedBy(foreign.Command(t, c.environ, c.program, append([]string{"--endpoint-url", c.url}, args...)...), cliCode)
	if a.Error != "" {
		return a
	}
	var err error
	switch s.Op {
	case "list", "buckets":
		if strings.TrimSpace(out) != "" {
			err = json.Unmarshal([]byte(out), &a.Keys)
		}
	case "presign-get":
		a.URL = strings.TrimSpace(out)
	case "head":
		var head struct {
			ContentLength int64
			ContentType   string
			Metadata      map[string]string
		}
		err = json.Unmarshal([]byte(out), &head)
		a.Size, a.Type, a.Metadata = head.ContentLength, head.ContentType, head.Metadata
	case "delete-many":
		var reply struct {
			Deleted []struct{ Key string }
			Errors  []struct{ Key, Code string }
		}
		if strings.TrimSpace(out) != "" {
			err = json.Unmarshal([]byte(out), &reply)
		}
		a.Refused = make(map[string]string)
		for _, one := range reply.Deleted {
			a.Keys = append(a.Keys, one.Key)
		}
		for _, one := range reply.Errors {
			a.Refused[one.Key] = one.Code
		}
	}
	if err != nil {
		t.Fatalf("%s: %v in %s", s.Op, err, out)
	}
	return a
}
