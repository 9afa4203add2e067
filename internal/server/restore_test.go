package server_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/server"
	"github.com/countersign/countersign/internal/store/storetest"
)

// before is what somebody holds who worked with the server before the restore.
type before struct {
	secret, token string
	session       *types.Credentials
	kids          string
	epoch         string
}

const writerRole = `
kind: Role
name: writer
trust:
  - service: {names: [document-service]}
permissions:
  - {bucket: documents, prefixes: ["resumes/"], actions: [get_object]}
`

func (r *rig) sts(c *types.Credentials) *sts.Client {
	o := sts.Options{Region: "us-east-1", BaseEndpoint: aws.String(r.BaseURL() + "/sts"), RetryMaxAttempts: 1, HTTPClient: r.client}
	if c != nil {
		o.Credentials = credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	}
	return sts.New(o)
}

func (r *rig) work(t *testing.T) (b before) {
	t.Helper()
	b.secret = r.create(t, "document-service", "parse-service", "sts")
	if _, err := r.admin.Apply(t.Context(), iamclient.Apply{Files: []iamclient.File{{Name: "role.yaml", Content: writerRole}}}); err != nil {
		t.Fatal(err)
	}
	b.token = r.token(t, "document-service", b.secret, "parse-service").field(t, "access_token")
	out, err := r.sts(nil).AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String("arn:aws:iam::000000000000:role/writer"), RoleSessionName: aws.String("job"),
		WebIdentityToken: aws.String(r.token(t, "document-service", b.secret, "sts").field(t, "access_token")),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.session = out.Credentials
	b.kids, b.epoch = r.get(t, r.BaseURL()+"/.well-known/jwks.json").text, r.feedEpoch(t)
	return b
}

func (r *rig) feedEpoch(t *testing.T) string {
	t.Helper()
	answer := r.get(t, r.BaseURL()+"/oauth2/revocations?since=0")
	return strings.Split(strings.Trim(answer.header.Get("ETag"), `"`), "-")[0]
}

// active asks as the client that the token was issued to.
func (r *rig) active(t *testing.T, b before, token string) bool {
	t.Helper()
	answer := r.post(t, "/oauth2/introspect", "document-service", b.secret, url.Values{"token": {token}})
	if answer.status != http.StatusOK {
		t.Fatal(answer)
	}
	var said struct{ Active bool }
	if err := json.Unmarshal([]byte(answer.text), &said); err != nil {
		t.Fatal(err)
	}
	return said.Active
}

func (r *rig) lives(t *testing.T, c *types.Credentials) bool {
	t.Helper()
	_, err := r.sts(c).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	return err == nil
}

func (r *rig) takeBackup(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := r.admin.Backup(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// place is where a server keeps what it has: one of the two databases.
type place struct {
	data    string
	environ []string
}

func places(t *testing.T) map[string]func(t *testing.T) place {
	t.Helper()
	return map[string]func(t *testing.T) place{
		"sqlite": func(t *testing.T) place { t.Helper(); return place{data: filepath.Join(t.TempDir(), "data")} },
		"postgres": func(t *testing.T) place {
			t.Helper()
			return place{filepath.Join(t.TempDir(), "data"), []string{"COUNTERSIGN_STORE=" + storetest.Postgres(t).PatientDatabase(t)}}
		},
	}
}

// key makes the master key that every place of a test has.
func masterFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "master.key")
	write(t, path, "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
	return "COUNTERSIGN_KEYS_MASTER_FILE=" + path
}

func (p place) restore(t *testing.T, master string, from []byte, o server.RestoreOptions) (server.Restored, error) {
	t.Helper()
	return server.Restore(t.Context(), load(t, p.data, append(p.environ, master)...), bytes.NewReader(from), o)
}

func (p place) start(t *testing.T, master string) *rig {
	t.Helper()
	return startIn(t, p.data, append(p.environ, master, "COUNTERSIGN_ISSUER=http://127.0.0.1:8440")...)
}

func (r *rig) wantRestoreEvent(t *testing.T) {
	t.Helper()
	page, err := r.admin.AuditEvents(t.Context(), iamclient.AuditQuery{Action: "restore"})
	if err != nil || len(page.Events) != 1 {
		t.Errorf("events of the restore: %+v, %v", page.Events, err)
	}
	r.wantWhole(t)
}

// RULES E6, from either database into either: what was minted before is refused, keys rotate,
// and what is stored is there.
func TestRuleE6RestoreBeginsANewEpoch(t *testing.T) {
	t.Parallel()
	for from, source := range places(t) {
		for to, target := range places(t) {
			t.Run(from+" to "+to, func(t *testing.T) {
				t.Parallel()
				master := masterFile(t)
				old := source(t).start(t, master)
				b := old.work(t)
				saved := old.takeBackup(t)
				late := old.token(t, "document-service", b.secret, "parse-service").field(t, "access_token")
				old.create(t, "too-late")
				if err := old.stop(); err != nil {
					t.Fatal(err)
				}
				into := target(t)
				if _, err := into.restore(t, master, saved, server.RestoreOptions{}); err != nil {
					t.Fatal(err)
				}
				fresh := into.start(t, master)
				if fresh.active(t, b, b.token) || fresh.active(t, b, late) {
					t.Error("a token from before is active")
				}
				if fresh.lives(t, b.session) {
					t.Error("a session from before lives")
				}
				if kids := fresh.get(t, fresh.BaseURL()+"/.well-known/jwks.json").text; kids == b.kids {
					t.Error("the signing keys are the same")
				}
				if epoch := fresh.feedEpoch(t); epoch == b.epoch || epoch == "" {
					t.Errorf("the feed's epoch was %q and is %q", b.epoch, epoch)
				}
				again := fresh.token(t, "document-service", b.secret, "parse-service").field(t, "access_token")
				if !fresh.active(t, b, again) {
					t.Error("a new token is not active")
				}
				if _, err := fresh.admin.Service(t.Context(), "too-late"); !errors.Is(err, countersign.NotFound) {
					t.Errorf("what came after the backup: %v", err)
				}
				fresh.wantRestoreEvent(t)
				// The rule holds after the next start too.
				if err := fresh.stop(); err != nil {
					t.Fatal(err)
				}
				next := into.start(t, master)
				if next.active(t, b, b.token) || next.lives(t, b.session) {
					t.Error("after another start what is from before lives")
				}
				next.wantRestoreEvent(t)
			})
		}
	}
}

func TestRuleE6KeepSessions(t *testing.T) {
	t.Parallel()
	for name, source := range places(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			master := masterFile(t)
			old := source(t).start(t, master)
			b := old.work(t)
			ended := old.token(t, "document-service", b.secret, "parse-service").field(t, "access_token")
			old.post(t, "/oauth2/revoke", "document-service", b.secret, url.Values{"token": {ended}})
			code, err := old.admin.CreateLoginCode(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			saved := old.takeBackup(t)
			if err := old.stop(); err != nil {
				t.Fatal(err)
			}
			into := source(t)
			if _, err := into.restore(t, master, saved, server.RestoreOptions{KeepSessions: true}); err != nil {
				t.Fatal(err)
			}
			fresh := into.start(t, master)
			if !fresh.active(t, b, b.token) || !fresh.lives(t, b.session) {
				t.Error("what was to be kept is refused")
			}
			// A code may have been used since: it is good for no login, whatever is kept.
			if _, err := fresh.admin.Login(t.Context(), code.Code, iamclient.Login{PublicKey: make([]byte, 32)}); !errors.Is(err, countersign.BadToken) {
				t.Errorf("a login code from before: %v", err)
			}
			if fresh.active(t, b, ended) {
				t.Error("what was revoked before the backup is active")
			}
			if epoch := fresh.feedEpoch(t); epoch == b.epoch {
				t.Error("followers of the feed don't hear that its numbers begin anew")
			}
			fresh.wantRestoreEvent(t)
		})
	}
}

// A restore over what is there: the audit chain in the folder was longer than that of the
// backup, and that is explained instead of an alarm for ever.
func TestRuleE6RestoreInPlace(t *testing.T) {
	t.Parallel()
	for name, source := range places(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			master, here := masterFile(t), source(t)
			old := here.start(t, master)
			b := old.work(t)
			saved := old.takeBackup(t)
			old.create(t, "too-late")
			if _, err := here.restore(t, master, saved, server.RestoreOptions{Force: true}); !errors.Is(err, countersign.Conflict) {
				t.Errorf("while the server runs: %v", err)
			}
			if err := old.stop(); err != nil {
				t.Fatal(err)
			}
			if _, err := here.restore(t, master, saved, server.RestoreOptions{}); !errors.Is(err, countersign.Conflict) {
				t.Errorf("without force: %v", err)
			}
			done, err := here.restore(t, master, saved, server.RestoreOptions{Force: true})
			if err != nil {
				t.Fatal(err)
			}
			if name == "sqlite" {
				if info, err := os.Stat(done.Aside); err != nil || info.Mode().Perm() != 0o600 {
					t.Errorf("the old database: %v, %v", info, err)
				}
			}
			fresh := here.start(t, master)
			fresh.wantRestoreEvent(t)
			if fresh.active(t, b, b.token) {
				t.Error("a token from before is active")
			}
		})
	}
}

// Who can write to the database and has no master key can't make a chain that was cut look
// like one that was restored.
func TestRuleE6OnlyTheMasterKeyExcusesAShorterChain(t *testing.T) {
	t.Parallel()
	master := masterFile(t)
	here := place{data: filepath.Join(t.TempDir(), "data")}
	r := here.start(t, master)
	r.create(t, "document-service")
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(here.data, "countersign.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`DELETE FROM audit_block WHERE seq = (SELECT MAX(seq) FROM audit_block)`, `DELETE FROM audit_head`,
		`UPDATE meta SET value = '00112233445566778899aabbccddeeff' WHERE key = 'epoch'`,
		`INSERT INTO meta (key, value) VALUES ('restored', '00.{"epoch":"00112233445566778899aabbccddeeff","at":"2126-01-01T00:00:00Z"}')`,
	} {
		if _, err := db.ExecContext(context.Background(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	again := here.start(t, master)
	report, err := again.admin.VerifyAudit(t.Context())
	if err != nil || report.OK {
		t.Errorf("a cut chain under another epoch: %+v, %v", report, err)
	}
}

func TestRestoreRefusals(t *testing.T) {
	t.Parallel()
	master := masterFile(t)
	old := place{data: filepath.Join(t.TempDir(), "data")}.start(t, master)
	saved := old.takeBackup(t)
	other := filepath.Join(t.TempDir(), "other.key")
	write(t, other, "MTEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n")
	cut := saved[:len(saved)-20]
	for name, c := range map[string]struct {
		environ string
		from    []byte
	}{
		"no master key":      {"COUNTERSIGN_LISTEN_API=127.0.0.1:0", saved},
		"another master key": {"COUNTERSIGN_KEYS_MASTER_FILE=" + other, saved},
		"a cut backup":       {master, cut},
		"no backup":          {master, []byte("hello")},
		"nothing":            {master, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := filepath.Join(t.TempDir(), "data")
			_, err := server.Restore(t.Context(), load(t, data, c.environ), bytes.NewReader(c.from), server.RestoreOptions{})
			if !errors.Is(err, countersign.Invalid) {
				t.Errorf("got %v, want Invalid", err)
			}
			if _, err := os.Stat(filepath.Join(data, "countersign.db")); err == nil {
				t.Error("it left a database")
			}
		})
	}
}

// A backup is taken while others work, and holds no secret in the clear.
func TestBackupWhileServing(t *testing.T) {
	t.Parallel()
	r := start(t)
	secret := r.create(t, "document-service", "parse-service")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	served := make(chan struct{})
	go func() {
		defer close(served)
		for ctx.Err() == nil {
			if a := r.token(t, "document-service", secret, "parse-service"); a.status != http.StatusOK {
				t.Errorf("while a backup is taken: %d %s", a.status, a.text)
				return
			}
			select {
			case served <- struct{}{}: // the next one goes beside a backup
			case <-ctx.Done():
			}
		}
	}()
	for range 5 {
		<-served
		saved := r.takeBackup(t)
		if bytes.Contains(saved, []byte(secret)) {
			t.Error("a client secret is in the backup")
		}
	}
	stop()
	for range served { //nolint:revive // until it ends
	}
	page, err := r.admin.AuditEvents(t.Context(), iamclient.AuditQuery{Action: "backup"})
	if err != nil || len(page.Events) != 5 {
		t.Errorf("%d events, %v", len(page.Events), err)
	}
}

// Over TCP a backup is nobody's without an administrator's proof, whatever a service may do.
func TestBackupIsRefusedToServices(t *testing.T) {
	t.Parallel()
	r := start(t)
	secret := r.create(t, "document-service", "iam-service")
	ask := func(token string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.BaseURL()+iamclient.BasePath+"/admin/backup", nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		return r.do(t, request).status
	}
	if status := ask(""); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	if status := ask(r.token(t, "document-service", secret, "iam-service").field(t, "access_token")); status != http.StatusForbidden {
		t.Errorf("with a service's token: %d", status)
	}
}
