//go:build clients

package s3clients

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/countersign/countersign/test/foreign"
)

// everything that a client of S3 does.
const everything = "get_object, put_object, delete_object, list_bucket, abort_multipart_upload, list_multipart_upload_parts, " +
	"list_bucket_multipart_uploads, get_bucket_location, get_object_tagging, put_object_tagging"

// world is the program itself with one bucket, documents, and roles that the service
// document-service can assume: document-writer for all of the bucket, document-reader for
// what is below shared/, and outsider for another bucket.
type world struct {
	foreign.Served

	secret string
}

// newWorld starts it; folder has what origin, a flow mapping of YAML, names.
func newWorld(t *testing.T, folder, origin, config string) *world {
	t.Helper()
	role := func(name, bucket, prefix, actions string) string {
		return fmt.Sprintf("---\nkind: Role\nname: %s\ntrust: [{service: {names: [document-service]}}]\n"+
			"permissions: [{bucket: %s, prefixes: [%q], actions: [%s]}]\n", name, bucket, prefix, actions)
	}
	w := &world{Served: foreign.Serve(t, folder, config, "kind: Bucket\nname: documents\norigin: "+origin+"\n"+
		"---\nkind: Bucket\nname: another\norigin: "+origin+"\n"+
		role("document-writer", "documents", "", everything)+role("document-reader", "documents", "shared/", "get_object, list_bucket")+
		role("outsider", "another", "", everything))}
	var made struct {
		Secret string `json:"client_secret"`
	}
	out := w.admin(t, "service", "create", "document-service", "--audience", "sts", "--output", "json")
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	w.secret = made.Secret
	return w
}

// admin runs a command as the administrator of this machine.
func (w *world) admin(t *testing.T, args ...string) string {
	t.Helper()
	return foreign.Output(t, foreign.Countersign(t, foreign.Environ(), append(args, "--data", w.Data)...))
}

// environ is that of the service.
func (w *world) environ(more ...string) []string {
	return foreign.Environ(append([]string{"COUNTERSIGN_CLIENT_ID=document-service", "COUNTERSIGN_CLIENT_SECRET=" + w.secret}, more...)...)
}

// assume makes a session of a role.
func (w *world) assume(t *testing.T, role string) credentials {
	t.Helper()
	out := foreign.Output(t, foreign.Countersign(t, w.environ(), "assume", "--data", w.Data, "--role", role, "--output", "json"))
	var session struct{ AccessKeyId, SecretAccessKey, SessionToken string }
	if err := json.Unmarshal([]byte(out), &session); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return credentials{session.AccessKeyId, session.SecretAccessKey, session.SessionToken}
}

// accessKey makes a long-lived key of the service for a role.
func (w *world) accessKey(t *testing.T, name, role string) credentials {
	t.Helper()
	var made struct {
		ID     string `json:"access_key_id"`
		Secret string `json:"secret_access_key"`
	}
	out := w.admin(t, "access-key", "create", name, "--service", "document-service", "--role", role, "--output", "json")
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return credentials{made.ID, made.Secret, ""}
}

// target is the gateway, as whoever that is.
func (w *world) target(as credentials) target { return target{url: w.S3, bucket: "documents", as: as} }

// secretFile keeps the secret key of an origin.
func secretFile(t *testing.T, folder, secret string) {
	t.Helper()
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "origin.key"), secret)
}

// s3Origin is the origin of a server that is not ours.
func s3Origin(t *testing.T, folder string, server foreign.S3Server, bucket, prefix string) string {
	t.Helper()
	secretFile(t, folder, server.Secret)
	return fmt.Sprintf("{s3: {endpoint: %q, bucket: %s, region: us-east-1, prefix: %q, allow_private_addresses: true, "+
		"credentials: {static: {access_key_id: %s, secret_access_key_file: ./origin.key}}}}", server.URL, bucket, prefix, server.AccessKeyID)
}

// overVersityGW has an S3 server behind it that checks the gateway's own signatures, and keeps
// its objects there below a prefix.
func overVersityGW(t *testing.T, config string) *world {
	t.Helper()
	folder, origin := t.TempDir(), newVersityGW(t)
	return newWorld(t, folder, s3Origin(t, folder, origin.S3Server, origin.bucket(t, "storage"), "below/a prefix+/"), config)
}

// overMoto has another one that does.
func overMoto(t *testing.T, config string) *world {
	t.Helper()
	folder := t.TempDir()
	return newWorld(t, folder, s3Origin(t, folder, foreign.MotoS3(t, "storage"), "storage", ""), config)
}

// overFolder has a folder.
func overFolder(t *testing.T, config string) *world {
	t.Helper()
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "documents"), 0o700); err != nil {
		t.Fatal(err)
	}
	return newWorld(t, folder, "{dir: ./documents}", config)
}
