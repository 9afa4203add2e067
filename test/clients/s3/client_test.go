//go:build clients

package s3clients

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/countersign/countersign/test/foreign"
)

// credentials are an access key; with a token, those of a session.
type credentials struct{ id, secret, token string }

func (c credentials) environ() []string {
	environ := []string{"AWS_ACCESS_KEY_ID=" + c.id, "AWS_SECRET_ACCESS_KEY=" + c.secret, "AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1"}
	if c.token != "" {
		environ = append(environ, "AWS_SESSION_TOKEN="+c.token)
	}
	return environ
}

// target is where a client goes, and as whom.
type target struct {
	url, bucket string
	as          credentials
	// ca is the file of the authority that signed its certificate; "" = plain HTTP.
	ca string
	// virtual puts the bucket in front of the host, and whoever asks for a connection to such
	// a host gets it from proxy: no name server knows it.
	virtual bool
	proxy   string
	// oneByOne gives each request of the JavaScript SDK a connection: versitygw leaves the end
	// of what it sends in chunks unread, and takes that for the next request.
	oneByOne bool
}

func (t target) style() string {
	if t.virtual {
		return "virtual"
	}
	return "path"
}

// step is one thing that a client is told to do.
type step struct {
	Op       string            `json:"op"`
	Key      string            `json:"key"` // or the prefix of a list or of a folder
	To       string            `json:"to"`
	File     string            `json:"file"`
	Folder   string            `json:"folder"`
	Keys     []string          `json:"keys"`
	First    int64             `json:"first"`
	Last     int64             `json:"last"`
	Size     int64             `json:"size"`
	Type     string            `json:"type"`
	Metadata map[string]string `json:"metadata"`
}

// answer is what came of it: Error is S3's code, where the client shows it.
type answer struct {
	Error    string            `json:"error"`
	Said     string            `json:"said"`
	Keys     []string          `json:"keys"`
	Refused  map[string]string `json:"refused"`
	URL      string            `json:"url"`
	Size     int64             `json:"size"`
	Type     string            `json:"type"`
	Metadata map[string]string `json:"metadata"`
}

// client does one step. One that it can't do it skips: can says which they are.
type client interface {
	do(t *testing.T, s step) answer
	can(op string) bool
}

// Where Debian's programs are; the newer generation is whatever else comes first in the
// PATH.
const (
	debianCLI    = "/usr/bin/aws"
	debianPython = "/usr/bin/python3"
)

// clients are all that are tested, by their names.
var clients = map[string]func(*testing.T, target) client{
	"AWS CLI of Debian": func(t *testing.T, at target) client { return newCLI(t, debianCLI, at) },
	"AWS CLI, newer":    func(t *testing.T, at target) client { return newCLI(t, newer(t, "aws", debianCLI), at) },
	"boto3 of Debian":   func(t *testing.T, at target) client { return newBoto3(t, debianPython, at) },
	"boto3, newer":      func(t *testing.T, at target) client { return newBoto3(t, newer(t, "python3", debianPython), at) },
	"JavaScript SDK":    newJavaScript,
	"Go SDK":            newGoSDK,
	"rclone":            newRclone,
	"s3cmd":             newS3cmd,
}

// folderOf is where a client keeps its objects.
func folderOf(name string) string {
	return strings.NewReplacer(" ", "-", ",", "").Replace(name) + "/"
}

// newer finds a program of the newer generation. The machine may have none.
func newer(t *testing.T, name, debians string) string {
	t.Helper()
	found, err := exec.LookPath(name)
	if err != nil || found == debians {
		t.Skipf("SKIPPED: there is no %s here besides Debian's own", name)
	}
	return found
}

// environ is that of a client of AWS's.
func environ(at target, more ...string) []string {
	all := foreign.Environ(append(at.as.environ(), more...)...)
	if at.ca != "" {
		all = append(all, "AWS_CA_BUNDLE="+at.ca, "NODE_EXTRA_CA_CERTS="+at.ca, "SSL_CERT_FILE="+at.ca)
	}
	if at.proxy != "" {
		all = append(all, "HTTPS_PROXY="+at.proxy, "HOSTS_ARE_LOOPBACK=true")
	}
	return all
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
