package iam

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/web"
)

// backupStall is how long a client may take for one piece of a backup: while it is
// read, the database keeps what it changes twice.
const backupStall = 30 * time.Second

// backupPath is GET /admin/backup.
const backupPath = iamclient.BasePath + "/admin/backup"

// Once are the paths for authn.Config.Once.
func Once() []string { return []string{backupPath} }

// backups are written one at a time.
type backups struct {
	write func(ctx context.Context, w io.Writer) (rows int64, err error)
	one   sync.Mutex
}

// writeBackup is GET /admin/backup: the whole database of one moment as a file. What is sealed
// stays sealed. The event that tells of it is durable before the first byte.
//
// Source: DESIGN §2.
func (a *API) writeBackup(w http.ResponseWriter, r *http.Request) error {
	const action = "backup"
	actor, err := a.administrator(r, action)
	if err != nil {
		return err
	}
	switch {
	case !actor.SuperAdmin:
		err = countersign.NewError(countersign.Denied, countersign.ReasonNotAdministrator, "only an administrator of the platform may take a backup")
	case a.backup.write == nil:
		err = countersign.NewError(countersign.Unsupported, "", "this server makes no backups")
	default:
		// Everything leaves here: who was removed a moment ago, elsewhere, gets none of it.
		err = a.admin.Confirm(r.Context(), actor)
	}
	if err == nil && !a.backup.one.TryLock() {
		err = countersign.NewError(countersign.Throttled, countersign.ReasonRateLimited, "a backup is being made already")
	}
	if err != nil {
		a.recordRefused(r, actor.ID, action, err)
		return err
	}
	defer a.backup.one.Unlock()
	err = a.audit.Commit(r.Context(), audit.Event{
		ID: web.RequestID(r.Context()), Time: a.now().UTC(), Action: action, Decision: audit.Allowed, Reason: string(countersign.ReasonOK),
		Actor: actor.ID, UserIssuer: actor.UserIssuer, User: actor.User, Service: actor.Service, ServiceUID: actor.ServiceUID,
		Proof: actor.Proof, ClientAddr: actor.ClientAddr,
	})
	if err != nil {
		return err
	}
	// What the server stops while it writes is no backup, and its client sees that.
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(a.stopping, cancel)()
	w.Header().Set("Content-Type", "application/gzip")
	w.Header().Set("Content-Disposition", `attachment; filename="countersign-`+strconv.FormatInt(a.now().Unix(), 10)+`.backup"`)
	w.Header().Set("Cache-Control", "no-store")
	_, err = a.backup.write(ctx, &patientWriter{w, http.NewResponseController(w)})
	return err
}

// patientWriter gives each piece its own time instead of the whole answer.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

// Write implements io.Writer.
func (p *patientWriter) Write(b []byte) (int, error) {
	_ = p.control.SetWriteDeadline(time.Now().Add(backupStall)) // without one the server's holds
	return p.ResponseWriter.Write(b)
}
