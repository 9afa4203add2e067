//go:build clients

package s3clients

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/countersign/countersign/test/foreign"
)

// What a client shows of a refusal of HEAD, which has no body: some ask by it first.
var denied = []string{"AccessDenied", "Forbidden", "403"}

// TestRefusalsAsEveryClientShowsThem: a refusal has the code that the client knows.
func TestRefusalsAsEveryClientShowsThem(t *testing.T) {
	t.Parallel()
	w := overFolder(t, "")
	writer, reader, outsider := w.assume(t, "document-writer"), w.assume(t, "document-reader"), w.assume(t, "outsider")
	file := put(t, filepath.Join(t.TempDir(), "sent"), random(5, 5000))
	sdk := newGoSDK(t, w.target(writer))
	for _, key := range []string{"shared/a", "private/a"} {
		must(t, sdk, step{Op: "put", Key: key, File: file, Size: 5000, Type: "text/plain"})
	}
	revoked := w.assume(t, "document-writer")
	w.admin(t, "revoke", "session", revoked.id)
	for name, open := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			back := filepath.Join(t.TempDir(), "got")
			write := step{Op: "put", Key: "shared/b", File: file, Size: 5000, Type: "text/plain"}
			c := open(t, w.target(reader))
			must(t, c, step{Op: "get", Key: "shared/a", File: back})
			sameFile(t, back, file)
			isList(t, must(t, c, step{Op: "list", Key: "shared/"}).Keys, []string{"shared/a"})
			isList(t, must(t, c, step{Op: "buckets"}).Keys, []string{"documents"})
			refused(t, c, step{Op: "list", Key: ""}, "AccessDenied")
			refused(t, c, step{Op: "list", Key: "private/"}, "AccessDenied")
			refused(t, c, step{Op: "get", Key: "private/a", File: back}, denied...)
			refused(t, c, write, denied...)
			refused(t, c, step{Op: "delete", Key: "shared/a"}, denied...)
			refused(t, c, step{Op: "copy", Key: "private/a", To: "shared/c"}, denied...)
			for _, bad := range []struct {
				as   credentials
				want []string
			}{
				{outsider, []string{"AccessDenied"}},
				{credentials{reader.id, outsider.secret, reader.token}, []string{"SignatureDoesNotMatch"}},
				{credentials{reader.id, reader.secret, outsider.token}, []string{"InvalidToken", "InvalidAccessKeyId"}},
				{credentials{reader.id, reader.secret, ""}, []string{"InvalidAccessKeyId"}},
				{credentials{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", ""}, []string{"InvalidAccessKeyId"}},
				{revoked, []string{"InvalidToken"}},
			} {
				refused(t, open(t, w.target(bad.as)), step{Op: "list", Key: "shared/"}, bad.want...)
			}
		})
	}
}

// TestRuleF7AccessKeysEnd with the word of an administrator, with their service, and with
// what their role trusts.
func TestRuleF7AccessKeysEnd(t *testing.T) {
	t.Parallel()
	w := overFolder(t, "")
	list := step{Op: "list", Key: "shared/"}
	open := func(key credentials) client { return newGoSDK(t, w.target(key)) }
	deleted, revoked, kept := w.accessKey(t, "deleted", "document-reader"), w.accessKey(t, "revoked", "document-reader"), w.accessKey(t, "kept", "document-reader")
	for _, key := range []credentials{deleted, revoked, kept} {
		must(t, open(key), list)
		refused(t, open(key), step{Op: "list"}, "AccessDenied")
		refused(t, open(credentials{key.id, "wrong", ""}), list, "SignatureDoesNotMatch")
		refused(t, open(credentials{key.id, key.secret, "token"}), list, "InvalidToken", "InvalidAccessKeyId", "InvalidRequest", "AuthorizationHeaderMalformed")
	}
	w.admin(t, "delete", "access-key", "deleted")
	w.admin(t, "revoke", "session", revoked.id)
	refused(t, open(deleted), list, "InvalidAccessKeyId", "InvalidToken")
	refused(t, open(revoked), list, "InvalidAccessKeyId", "InvalidToken")
	must(t, open(kept), list)
	w.admin(t, "service", "disable", "document-service")
	refused(t, open(kept), list, "InvalidAccessKeyId", "InvalidToken")
	// For ever: what was handed out before is not good again.
	w.admin(t, "service", "enable", "document-service")
	refused(t, open(kept), list, "InvalidAccessKeyId", "InvalidToken")
}

// TestPartOfADeleteIsRefused: DeleteObjects answers for each key.
func TestPartOfADeleteIsRefused(t *testing.T) {
	t.Parallel()
	w := overFolder(t, "")
	file := put(t, filepath.Join(t.TempDir(), "sent"), random(6, 100))
	writer := newGoSDK(t, w.target(w.assume(t, "document-writer")))
	for _, key := range []string{"team/a", "team/b", "shared/a"} {
		must(t, writer, step{Op: "put", Key: key, File: file, Size: 100, Type: "text/plain"})
	}
	foreign.Output(t, foreign.Countersign(t, foreign.Environ(), "apply", "--data", w.Data, "-f", put(t, filepath.Join(t.TempDir(), "role.yaml"), []byte(
		"kind: Role\nname: cleaner\ntrust: [{service: {names: [document-service]}}]\npermissions: [{bucket: documents, prefixes: [team/], actions: [delete_object]}]\n"))))
	cleaner := w.assume(t, "cleaner")
	for name, open := range clients {
		t.Run(name, func(t *testing.T) {
			c := open(t, w.target(cleaner))
			if !c.can("delete-many") || name == "s3cmd" { // it shows the first refusal alone
				t.Skip("it shows no refusals by key")
			}
			a := must(t, c, step{Op: "delete-many", Keys: []string{"team/a", "shared/a", "team/missing"}})
			if a.Refused["shared/a"] != "AccessDenied" || len(a.Refused) != 1 {
				t.Errorf("refused: %v", a.Refused)
			}
			isList(t, a.Keys, []string{"team/a", "team/missing"})
		})
	}
	isList(t, must(t, writer, step{Op: "list"}).Keys, []string{"shared/a", "team/b"})
}

// TestRuleF3LinksOfSigV2GetAWSsOwnWords: older clients make them by themselves, and people
// look for what they are told.
func TestRuleF3LinksOfSigV2GetAWSsOwnWords(t *testing.T) {
	t.Parallel()
	w := overFolder(t, "")
	reader := w.target(w.assume(t, "document-reader"))
	const plain = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
	script := filepath.Join("testdata", "s3_boto3.py")
	links := map[string]func(t *testing.T) string{
		"s3cmd": func(t *testing.T) string {
			c, _ := newS3cmd(t, reader).(*s3cmd)
			return strings.TrimSpace(foreign.Output(t, foreign.Command(t, c.environ, "s3cmd", "--config", c.config, "signurl", c.s3("shared/a"), "+300")))
		},
		"boto3 of Debian": func(t *testing.T) string {
			c := newScript(t, environ(reader, "SIGNATURE=default"), debianPython, script, reader.url, reader.bucket, "path")
			return must(t, c, step{Op: "presign-get", Key: "shared/a"}).URL
		},
		"boto3, newer": func(t *testing.T) string {
			c := newScript(t, environ(reader, "SIGNATURE=default"), newer(t, "python3", debianPython), script, reader.url, reader.bucket, "path")
			return must(t, c, step{Op: "presign-get", Key: "shared/a"}).URL
		},
		"AWS CLI, newer": func(t *testing.T) string {
			return strings.TrimSpace(foreign.Output(t, foreign.Command(t, environ(reader), newer(t, "aws", debianCLI),
				"--endpoint-url", reader.url, "s3", "presign", "s3://documents/shared/a")))
		},
	}
	for name, link := range links {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := link(t)
			if !regexp.MustCompile(`[?&]AWSAccessKeyId=`).MatchString(at) {
				t.Skipf("it makes links of SigV4: %s", at[:min(len(at), 80)])
			}
			status, body := ask(t, newHTTPClient(t, reader), http.MethodGet, at, nil)
			if status != http.StatusForbidden || !strings.Contains(string(body), plain) || !strings.Contains(string(body), "<Code>InvalidRequest</Code>") {
				t.Errorf("%d %s", status, body)
			}
		})
	}
}
