package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/backup"
	"github.com/countersign/countersign/internal/broker"
	"github.com/countersign/countersign/internal/config"
	"github.com/countersign/countersign/internal/directory"
	"github.com/countersign/countersign/internal/iam"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/oauth"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/s3gw"
	"github.com/countersign/countersign/internal/s3origin"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
	"github.com/countersign/countersign/internal/sts"
	"github.com/countersign/countersign/internal/telemetry"
	"github.com/countersign/countersign/internal/token"
	"github.com/countersign/countersign/internal/trust"
	"github.com/countersign/countersign/internal/web"
)

// Options of a [Server]. Config is required.
type Options struct {
	Config config.Config
	// Logger; nil = discard.
	Logger *slog.Logger
	// Now is the clock of every decision; nil = time.Now.
	Now func() time.Time
	// Sleep waits for d by that clock, or returns the error of ctx: a token request of a
	// service whose tokens were revoked just now waits so. nil = a timer.
	Sleep func(ctx context.Context, d time.Duration) error
	// Version is what metrics and the log call this build.
	Version string
}

// Server is a whole Countersign. Make it with [New], then call [Server.Run] once, or
// [Server.Close] if it shall never run.
type Server struct {
	cfg     config.Config
	logger  *slog.Logger
	now     func() time.Time
	sleep   func(ctx context.Context, d time.Duration) error // nil = a timer
	metrics *telemetry.Metrics
	issuer  string

	folder    *dataFolder
	listeners *listeners
	addresses Addresses

	store   *sqlstore.Store
	replica string // what this process calls itself among those that share the store
	// deployment names the database: what is sealed is bound to it.
	deployment string
	epoch      string // names the count of what was revoked
	version    string
	master     *keys.Master
	previous   *keys.Master // nil = none
	keys       *keys.Ring
	audit      *audit.Log
	registry   *registry.Registry
	admin      *admin.Admin
	minter     *token.Minter
	authn      *authn.Authenticator
	web        *trust.Verifier
	aws        *trust.AWSVerifier // nil = AWS identities are not served
	broker     *broker.AWS
	sealer     *session.Sealer
	sts        *sts.Handler
	s3         *s3gw.Gateway
	origins    *s3origin.Pool
	oauth      *oauth.Handler
	iam        *iam.API
	// directories are where people are looked up.
	directories []directory.Directory
	mux         *http.ServeMux
	tls         *tls.Config // nil = plain HTTP

	owed owed
	// staleKeys: another process changed the keys; wake is sent to then.
	staleKeys atomic.Bool
	wake      chan struct{}
	// complained is when maintain last told of each kind of trouble.
	complained map[string]time.Time
}

// New opens and binds everything, and serves nothing yet. What it has opened it
// closes again when it fails.
//
// Errors: countersign.Invalid (configuration, data folder, master key),
// countersign.Conflict (another server has the data folder), countersign.Unavailable
// (a port, the disk or the database can't be had).
func New(ctx context.Context, opts Options) (*Server, error) {
	s := &Server{cfg: opts.Config, logger: opts.Logger, now: opts.Now, sleep: opts.Sleep, version: opts.Version, metrics: telemetry.New(opts.Version), wake: make(chan struct{}, 1), complained: make(map[string]time.Time)}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// open goes from the disk upwards: each step needs those before it.
func (s *Server) open(ctx context.Context) (err error) {
	if s.folder, err = openDataFolder(s.cfg.Data); err != nil {
		return err
	}
	if s.listeners, err = bind(ctx, s.cfg.Listen, s.folder); err != nil {
		return err
	}
	s.addresses = Addresses{API: s.listeners.api.Addr().String(), S3: s.listeners.s3.Addr().String(), Ops: s.listeners.ops.Addr().String()}
	if s.issuer = s.cfg.Issuer; s.issuer == "" {
		s.issuer = s.BaseURL()
	}
	if err = s.openStore(ctx); err != nil {
		return err
	}
	if err = s.openKeys(ctx); err != nil {
		return err
	}
	if err = s.openAudit(ctx); err != nil {
		return err
	}
	s.registry, err = registry.New(ctx, registry.Config{
		Store: s.store, Shared: s.shared(), MaxStaleness: s.cfg.Revocation.MaxStaleness, ServeStale: s.cfg.Revocation.ServeStale,
		Paths: s.paths(), OpenAccessKey: s.keys.OpenAccessKey, OnChange: s.changed, OnLost: s.owesLost, OnLate: s.owesLate, Logger: s.logger, Now: s.now,
	})
	if err != nil {
		return err
	}
	s.metrics.CachedServices(s.registry.Len)
	s.metrics.ViewAge(func() time.Duration { at, _, _ := s.registry.Fresh(); return s.now().Sub(at) })
	if err = s.openServices(); err != nil {
		return err
	}
	s.metrics.Followers(s.oauth.Followers)
	if err = s.applyResources(ctx); err != nil {
		return err
	}
	s.addresses.URL = s.BaseURL()
	s.warn(ctx)
	return s.folder.writeListen(s.addresses)
}

// warn tells of settings that are allowed and easily mistaken.
func (s *Server) warn(ctx context.Context) {
	if slices.Contains(s.cfg.InsecureHTTP, "api") && len(s.cfg.TrustedProxies) == 0 {
		s.logger.WarnContext(ctx, "the api listener speaks plain HTTP, so probably behind a proxy, and trusted_proxies is empty: "+
			"all clients then share the proxy's address, and with it its limits")
	}
}

func (s *Server) openKeys(ctx context.Context) error {
	if err := s.wantFinished(ctx); err != nil {
		return err
	}
	if err := s.openMaster(ctx); err != nil {
		return err
	}
	var id [16]byte
	_, _ = rand.Read(id[:])
	deployment, err := s.store.SetMetaIfAbsent(ctx, metaDeployment, hex.EncodeToString(id[:]))
	if err != nil {
		return fmt.Errorf("name the deployment: %w", err)
	}
	_, _ = rand.Read(id[:])
	if s.epoch, err = s.store.SetMetaIfAbsent(ctx, metaEpoch, hex.EncodeToString(id[:])); err != nil {
		return fmt.Errorf("name the epoch: %w", err)
	}
	s.deployment = deployment
	s.keys, err = keys.Open(ctx, keys.Config{
		Store: s.store, Master: s.master, DeploymentID: deployment,
		Algorithm: s.cfg.Tokens.SigningAlgorithm, TokenLifetime: maxTokenLifetime,
		PreviousMaster: s.previous, RotationPeriod: s.cfg.Keys.RotationPeriod, Now: s.now,
	})
	return err
}

// maxTokenLifetime is the longest that a token can live, whatever a service asks for.
const maxTokenLifetime = time.Hour

// metaDeployment is set when the master key is there: a store that has it has one.
const metaDeployment = "deployment_id"

// metaEpoch is another one after a restore.
const metaEpoch = backup.MetaEpoch

func (s *Server) openAudit(ctx context.Context) (err error) {
	cfg := audit.Config{
		Store: s.store, Replica: s.replica, Signer: s.keys,
		HeadFile: s.folder.file("audit-head.json"), Now: s.now, Logger: s.logger, Observer: s.metrics,
	}
	// SQLite is on the same disk as a spool would be.
	if s.shared() && !s.cfg.Audit.RefuseInOutage {
		cfg.Spool, cfg.SpoolMax = s.folder.file("spool"), s.cfg.Audit.SpoolBytes
	}
	news, err := s.newEpoch(ctx)
	if err != nil {
		return err
	}
	if s.audit, err = audit.Open(ctx, cfg); err != nil {
		return err
	}
	if err := s.noteEpoch(ctx, news); err != nil {
		return err
	}
	s.metrics.AuditDegraded(s.audit.Degraded)
	for _, key := range s.keys.Created() {
		if err := s.audit.Commit(ctx, s.event("key.create", keyDetail(key))); err != nil {
			return err
		}
	}
	return s.audit.Commit(ctx, s.event("server.start", ""))
}

func (s *Server) openServices() (err error) {
	if s.minter, err = token.New(token.Config{Issuer: s.issuer, Keys: s.keys, Lifetime: s.cfg.Tokens.Lifetime, Now: s.now}); err != nil {
		return err
	}
	if s.admin, err = admin.New(admin.Config{Store: s.store, Audit: s.audit, Registry: s.registry, Keys: s.keys, Issuer: s.issuer, LocalDirectory: s.cfg.Directories.Local, Paths: s.paths(), PendingFile: s.folder.file("pending.json"), Now: s.now}); err != nil {
		return err
	}
	if err = s.openTrust(); err != nil {
		return err
	}
	local := uint32(os.Geteuid()) //nolint:gosec // G115: user ids are 32 bits wide
	if s.authn, err = authn.New(authn.Config{Issuer: s.issuer, Keys: s.keys, Registry: s.registry, Users: s.web, Logins: s.store, Once: iam.Once(), LocalUID: local, Now: s.now}); err != nil {
		return err
	}
	if err = s.openDirectories(); err != nil {
		return err
	}
	if s.mux, err = s.routes(); err != nil {
		return err
	}
	if err = s.openS3(); err != nil {
		return err
	}
	return s.openTLS()
}

func (s *Server) openTLS() error {
	if s.cfg.TLS.CertFile == "" {
		return nil
	}
	certificates, err := web.NewCertificates(s.cfg.TLS.CertFile, s.cfg.TLS.KeyFile, s.logger, s.now)
	if err != nil {
		return err
	}
	s.tls = certificates.TLSConfig()
	return nil
}

func keyDetail(k store.SigningKey) string {
	return fmt.Sprintf("%s key %s (%s)", k.Purpose, k.KID, k.Algorithm)
}

// event is about the server itself.
func (s *Server) event(action, detail string) audit.Event {
	now := s.now()
	return audit.Event{
		ID: countersign.NewRequestID(now), Time: now, Action: action, Decision: audit.Changed, Reason: "ok",
		Actor: fmt.Sprintf("local:%d", os.Geteuid()), Detail: detail,
	}
}

// Addresses returns the addresses that were bound.
func (s *Server) Addresses() Addresses { return s.addresses }

// Issuer returns our issuer URL: the iss of every token.
func (s *Server) Issuer() string { return s.issuer }

// BaseURL returns the URL at which the api listener answers on this machine.
func (s *Server) BaseURL() string {
	scheme := "http"
	if s.cfg.TLS.CertFile != "" {
		scheme = "https"
	}
	host := s.addresses.API
	if address, err := netip.ParseAddrPort(host); err == nil && address.Addr().IsUnspecified() {
		host = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), address.Port()).String()
	}
	return (&url.URL{Scheme: scheme, Host: host}).String()
}

// AdminSocket returns the path of the local administrator's Unix socket.
func (s *Server) AdminSocket() string { return filepath.Join(s.cfg.Data, "admin.sock") }
