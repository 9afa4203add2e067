package iam

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/directory"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/web"
)

// Config of an [API]. All fields up to Issuer are required.
type Config struct {
	Authn *authn.Authenticator
	Admin *admin.Admin
	Audit *audit.Log
	// Keys sign the route policies that receivers fetch, as those of Issuer.
	Keys   *keys.Ring
	Issuer string
	// Directories are asked for people, in this order; none = nobody is found.
	Directories []directory.Directory
	// Mode is what user routes want; "" = Forward.
	Mode Mode
	// ExposeReasons adds the reason to what refused callers over TCP get; the Unix
	// socket always gets it.
	ExposeReasons bool
	// Backup writes a backup of the database and returns how many rows it has; nil = there is
	// none to be had.
	Backup func(ctx context.Context, w io.Writer) (rows int64, err error)
	// Logger; nil = discard.
	Logger *slog.Logger
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// API answers the IAM API. Safe for concurrent use.
type API struct {
	authn         *authn.Authenticator
	admin         *admin.Admin
	audit         *audit.Log
	exposeReasons bool
	mode          Mode
	directories   []directory.Directory
	local         *directory.Local // nil = there is none
	logger        *slog.Logger
	now           func() time.Time
	keys          *keys.Ring
	issuer        string

	policies routePolicies
	batches  *batches
	backup   backups
	stopping context.Context // ends what waits; see Close
	stop     context.CancelFunc
}

// Route is one URL of the API, as a pattern of http.ServeMux.
type Route struct {
	Pattern string
	Handler http.Handler
}

// New returns an API. Call Close at the end.
//
// Errors: countersign.Invalid when a part is missing.
func New(cfg Config) (*API, error) {
	if cfg.Authn == nil || cfg.Admin == nil || cfg.Audit == nil || cfg.Keys == nil || cfg.Issuer == "" {
		return nil, countersign.NewError(countersign.Invalid, "", "the IAM API needs authn, admin, an audit log, keys and an issuer")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	a := &API{
		authn: cfg.Authn, admin: cfg.Admin, audit: cfg.Audit,
		mode: cfg.Mode, exposeReasons: cfg.ExposeReasons, logger: cfg.Logger, now: cfg.Now, keys: cfg.Keys, issuer: cfg.Issuer,
		batches: newBatches(maxBatches), backup: backups{write: cfg.Backup},
	}
	a.directories = cfg.Directories
	for _, d := range cfg.Directories {
		if local, ok := d.(*directory.Local); ok {
			a.local = local
		}
	}
	a.stopping, a.stop = context.WithCancel(context.Background())
	return a, nil
}

// Close lets queries that wait answer with what there is, so that they don't hold up
// a graceful stop: call it when the stop begins.
func (a *API) Close() { a.stop() }

// Routes lists every URL of the API. A path that is served answers other methods with
// 405, and every other path below the base with 404.
func (a *API) Routes() []Route {
	served := map[string]web.Handler{
		"POST /admin/services":                  operation(a, a.resources, "service.create", parseCreateService, a.createService),
		"GET /admin/services":                   operation(a, a.resources, "service.list", parseListServices, a.listServices),
		"GET /admin/services/{name}":            operation(a, a.resources, "service.get", parseGetService, a.getService),
		"DELETE /admin/services/{name}":         operation(a, a.resources, "service.delete", parseChangeService, a.deleteService),
		"POST /admin/services/{name}/rotate":    operation(a, a.resources, "service.rotate", parseRotateSecret, a.rotateSecret),
		"POST /admin/services/{name}/disable":   operation(a, a.userContext, "service.disable", parseChangeService, a.disableService),
		"POST /admin/services/{name}/enable":    operation(a, a.userContext, "service.enable", parseChangeService, a.enableService),
		"POST /admin/access-keys":               operation(a, a.userContext, "access-key.create", parseCreateAccessKey, a.createAccessKey),
		"POST /admin/revocations":               operation(a, a.userContext, "revoke", parseRevoke, a.revoke),
		"POST /admin/resources":                 operation(a, a.resources, "apply", parseApply, a.apply),
		"GET /admin/resources/{kind}":           operation(a, a.resources, "resource.list", parseListObjects, a.listObjects),
		"GET /admin/resources/{kind}/{name}":    operation(a, a.resources, "resource.get", parseGetObject, a.getObject),
		"DELETE /admin/resources/{kind}/{name}": operation(a, a.resources, "resource.delete", parseDeleteObject, a.deleteObject),
		"GET /admin/keys":                       operation(a, a.administrator, "key.list", parseListKeys, a.listKeys),
		"POST /admin/keys/rotate":               operation(a, a.administrator, "key.rotate", parseRotateKeys, a.rotateKeys),
		"POST /admin/keys/rewrap":               operation(a, a.administrator, "key.rewrap", parseRewrapKeys, a.rewrapKeys),
		"GET /admin/audit/events":               operation(a, a.administrator, "audit.query", parseAuditQuery, a.queryAudit),
		"POST /admin/audit/verify":              operation(a, a.administrator, "audit.verify", parseVerifyAudit, a.verifyAudit),
		"GET /admin/backup":                     a.writeBackup,
		"POST /system/users/query":              a.queryUsers,
		"POST /system/enrich":                   a.enrich,
		"POST /system/audit/events":             a.report,
		"GET /system/route-policies/{service}":  a.routePolicies,
	}
	maps.Copy(served, a.userRoutes())
	maps.Copy(served, a.loginRoutes())
	for collection, of := range collections {
		path := " /admin/" + collection
		served["GET"+path] = operation(a, a.resources, of.action+".list", parseListObjects, a.listObjects)
		served["GET"+path+"/{name}"] = operation(a, a.resources, of.action+".get", parseGetObject, a.getObject)
		served["DELETE"+path+"/{name}"] = operation(a, a.resources, of.action+".delete", parseDeleteObject, a.deleteObject)
	}
	methods := map[string][]string{}
	var routes []Route
	for pattern, handle := range served {
		method, path, _ := strings.Cut(pattern, " ")
		methods[path] = append(methods[path], method)
		routes = append(routes, Route{method + " " + iamclient.BasePath + path, a.handle(handle)})
	}
	for path, allowed := range methods {
		slices.Sort(allowed)
		routes = append(routes, Route{iamclient.BasePath + path, a.handle(otherMethod(strings.Join(allowed, ", ")))})
	}
	routes = append(routes, Route{iamclient.BasePath + "/", a.handle(otherPath)},
		Route{"GET " + OpenAPIPath, a.handle(a.describeAPI(slices.Sorted(maps.Keys(served))))})
	slices.SortFunc(routes, func(x, y Route) int { return strings.Compare(x.Pattern, y.Pattern) })
	return routes
}

func (a *API) handle(h web.Handler) http.Handler { return web.Handle(a.logger, a.writeError, h) }

// door proves who sent r, and refuses who may not come in at all. There is one for each
// family of routes, see family.go.
type door func(r *http.Request, action string) (admin.Actor, error)

// operation makes the handler of one operation behind a door: who, what, do it, answer, in
// this order and for all alike, so that none can forget a step. Package admin records the
// refusals of run itself.
func operation[In any](a *API, through door, action string, parse func(*http.Request) (In, error),
	run func(r *http.Request, actor admin.Actor, in In) (answer, error),
) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		actor, err := through(r, action)
		if err != nil {
			return err
		}
		in, err := parse(r)
		if err != nil {
			if r.Method != http.MethodGet && r.Method != http.MethodHead { // a change that was asked for
				a.recordRefused(r, actor.ID, action, err)
			}
			return err
		}
		out, err := run(r, actor, in)
		if errors.Is(err, admin.ErrActorChanged) {
			// Nothing was done. The view knows of the change by now, and the door of it.
			if actor, err = through(r, action); err == nil {
				out, err = run(r, actor, in)
			}
		}
		if err != nil {
			return err
		}
		return out.write(w)
	}
}

func otherMethod(allowed string) web.Handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		w.Header().Set("Allow", allowed)
		return countersign.NewError(countersign.Unsupported, countersign.ReasonMethod, "this path takes "+allowed)
	}
}

func otherPath(http.ResponseWriter, *http.Request) error {
	return countersign.NewError(countersign.NotFound, "", "there is no such path in the IAM API")
}
