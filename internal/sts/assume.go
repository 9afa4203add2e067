package sts

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/broker"
	"github.com/countersign/countersign/internal/policy"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/trust"
)

// assumption is a role that is being assumed: who does it, and what they get.
type assumption struct {
	request  assumeRequest
	identity trust.Identity
	role     *registry.Role
	// fingerprint is that of the statement that trusts the identity.
	fingerprint string
	policy      *policy.SessionPolicy // nil = none
	permissions policy.Permissions    // of the role, with the identity's values
	values      map[string]string     // those of claims
	duration    time.Duration
	// brokered are credentials of AWS itself; nil = ours.
	brokered *broker.Credentials
}

// errNotTrusted is the answer to a role that is unknown and to one that does not trust the
// caller: they are never told apart.
func errNotTrusted(reason countersign.Reason) error {
	return countersign.NewError(countersign.Denied, reason, "Not authorized to assume this role")
}

// lookUp returns the role, or the one answer for every role that nobody may know of.
func (h *Handler) lookUp(ctx context.Context, name string) (*registry.Role, error) {
	if !countersign.ValidName(name) {
		return nil, errNotTrusted(countersign.ReasonRoleUnknown)
	}
	role, err := h.cfg.Registry.Role(ctx, name)
	if errors.Is(err, countersign.NotFound) {
		return nil, errNotTrusted(countersign.ReasonRoleUnknown)
	}
	if err != nil {
		return nil, fmt.Errorf("look up the role: %w", err)
	}
	return role, nil
}

// authorise decides whether the identity may assume the role, and what as.
//
// Errors: countersign.Denied, Invalid, BadPolicy, Throttled, Unavailable.
func (h *Handler) authorise(r *http.Request, a *assumption, d *decision) (err error) {
	ctx := r.Context()
	if h.identities != nil && !h.identities.Allow(identityKey{a.identity.Issuer, a.identity.Subject}) {
		return &countersign.Error{Code: countersign.Throttled, Reason: countersign.ReasonRateLimited,
			Msg: "Rate exceeded", RetryAfter: time.Second}
	}
	if a.role == nil {
		if a.role, err = h.lookUp(ctx, a.request.role); err != nil {
			return err
		}
	}
	d.event.Role, d.event.Target = a.role.Name, a.role.Name
	if err := h.cfg.Registry.LocalService(ctx, &a.identity, h.cfg.Now()); err != nil {
		return fmt.Errorf("look up the service: %w", err)
	}
	d.event.Service, d.event.ServiceUID = a.identity.Service, a.identity.ServiceUID
	if a.role.Broker != nil && len(a.request.tags) > 0 {
		// They would be principal tags at AWS, where policies go by them, and the caller's choice.
		return invalid("a role that brokers takes no Tags")
	}
	if a.fingerprint, err = h.trusts(ctx, a); err != nil {
		return err
	}
	if a.duration, err = h.durationOf(a); err != nil {
		return err
	}
	if a.request.policy != "" {
		if a.policy, err = policy.ParseSessionPolicy(a.request.policy); err != nil {
			return err //nolint:wrapcheck // it has its words
		}
	}
	return a.resolve()
}

// trusts looks for the statement that trusts the identity.
func (h *Handler) trusts(ctx context.Context, a *assumption) (fingerprint string, err error) {
	if err := h.sameTenant(ctx, a); err != nil {
		return "", err
	}
	if err := h.notDisabled(ctx, a.role, a); err != nil {
		return "", err
	}
	asked := trust.RequestContext{Role: a.role.Name, Time: h.cfg.Now(), Tenant: a.role.Tenant}
	for i := range a.role.Trust {
		if ok, _ := a.role.Trust[i].Match(ctx, a.identity, asked); ok {
			return a.role.Trust[i].Fingerprint(), nil
		}
	}
	return "", errNotTrusted(countersign.ReasonTrustNotMatched)
}

// sameTenant: a role of a tenant is for that tenant's identities, and for those of issuers and
// services that are shared with it (RULES A6). What patterns of names match is not known when
// the role is saved, and sharing may have ended since.
func (h *Handler) sameTenant(ctx context.Context, a *assumption) error {
	id := &a.identity
	if id.Kind == trust.KindOIDC && a.role.Tenant != "" && id.Tenant != "" && a.role.Tenant != id.Tenant {
		return errNotTrusted(countersign.ReasonRoleTenant)
	}
	open, err := h.cfg.Registry.StillOpen(ctx, a.role, a.session(h.cfg.Now()))
	if err != nil {
		return fmt.Errorf("look for who proved the caller: %w", err)
	}
	if !open {
		return errNotTrusted(countersign.ReasonRoleTenant)
	}
	return nil
}

// durationOf refuses what is out of range and never cuts it silently.
func (h *Handler) durationOf(a *assumption) (time.Duration, error) {
	longest := min(a.role.MaxSessionDuration, h.cfg.MaxDuration)
	if a.request.duration == 0 {
		return min(defaultDuration, longest), nil
	}
	if a.request.duration > longest {
		return 0, invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	return a.request.duration, nil
}

// issuerName is what {issuer} stands for: the name of the Issuer document, since a URL can't
// be a part of a prefix; of our own tokens and of AWS accounts one that no document can have.
func issuerName(id *trust.Identity) string {
	switch {
	case id.Kind == trust.KindService:
		return "countersign"
	case id.AWS != nil:
		return "aws." + id.AWS.Account
	}
	return id.IssuerName
}

// resolve puts the identity's verified values into the role's permissions (RULES D3). What
// raw claims they needed is sealed into the session.
func (a *assumption) resolve() (err error) {
	templates := a.role.Permissions.Templates()
	if len(templates) == 0 {
		a.permissions = a.role.Permissions
		return nil
	}
	values := map[string]string{
		"tenant": a.identity.Tenant, "service": a.identity.Service, "subject": a.identity.Subject,
		"issuer": issuerName(&a.identity), "role": a.role.Name,
	}
	for _, name := range templates {
		if claim, ok := strings.CutPrefix(name, "claims."); ok {
			if text, ok := a.identity.Claims[claim].(string); ok {
				values[name] = text
			}
		} else if name != "issuer" { // the session has the others itself
			continue
		}
		if text := values[name]; text != "" {
			if a.values == nil {
				a.values = make(map[string]string)
			}
			a.values[name] = text
		}
	}
	a.permissions, err = a.role.Permissions.Resolve(values)
	return err //nolint:wrapcheck // it has its words
}

// issue mints what was authorised, or gets it from AWS, and makes the event durable first.
//
// Errors: countersign.TooLarge, Throttled, Unavailable, Upstream, Denied.
func (h *Handler) issue(r *http.Request, a *assumption, d *decision) (session.Credentials, error) {
	ctx := r.Context()
	if err := h.withinQuota(ctx, a); err != nil {
		return session.Credentials{}, err
	}
	credentials, made, err := h.mint(ctx, a)
	if err != nil {
		return session.Credentials{}, err
	}
	d.event.Session = credentials.AccessKeyID
	d.notes("name="+a.request.sessionName, "statement="+a.fingerprint)
	if err := d.committed(ctx); err != nil {
		return session.Credentials{}, err
	}
	if err := h.confirm(ctx, a, made); err != nil {
		d.emitted = false // the log tells of the session, and then that it never left
		return session.Credentials{}, err
	}
	return credentials, nil
}

// withinQuota counts the session against the quota of the service that gets it.
func (h *Handler) withinQuota(ctx context.Context, a *assumption) error {
	if a.identity.ServiceUID == "" {
		return nil
	}
	service, err := h.cfg.Registry.Service(ctx, a.identity.Service)
	if err != nil {
		return fmt.Errorf("look up the service: %w", err)
	}
	wait, err := h.cfg.Registry.Take(ctx, service)
	if err != nil {
		return fmt.Errorf("take from the quota: %w", err)
	}
	if wait > 0 {
		return &countersign.Error{Code: countersign.Throttled, Reason: countersign.ReasonQuotaExceeded,
			Msg: "Rate exceeded", RetryAfter: wait}
	}
	return nil
}

// mint seals a session of ours, or asks AWS for one of its own.
func (h *Handler) mint(ctx context.Context, a *assumption) (session.Credentials, session.Session, error) {
	if a.role.Broker != nil {
		credentials, err := h.fromAWS(ctx, a)
		return credentials, session.Session{}, err
	}
	credentials, made, err := h.cfg.Sealer.Mint(a.session(h.cfg.Now()))
	if err != nil {
		return session.Credentials{}, session.Session{}, fmt.Errorf("seal the session: %w", err)
	}
	// Asked after minting: a revocation that comes later finds a session that was alive. Who
	// is too early comes back with its proof: what was revoked may be that.
	return credentials, made, h.notBorn(made)
}

// notBorn refuses a session that would be born revoked (RULES E3).
func (h *Handler) notBorn(made session.Session) error {
	if from := h.cfg.Registry.MintSessionFrom(registry.FactsOf(made)); made.IssuedAt.Before(from) {
		return comeBack(from.Sub(h.cfg.Now()), "sessions like this one were revoked just now")
	}
	return nil
}

// session is what is sealed.
func (a *assumption) session(now time.Time) session.Session {
	id := &a.identity
	s := session.Session{
		Role: a.role.Name, RoleUID: a.role.UID, Name: a.request.sessionName,
		Kind: string(id.Kind), Issuer: id.Issuer, Subject: id.Subject, IssuerUID: id.IssuerUID,
		Service: id.Service, ServiceUID: id.ServiceUID, Tenant: id.Tenant,
		Fingerprint: a.fingerprint, Values: a.values, Tags: a.request.tags,
		TokenID: id.TokenID, KID: id.KID, ProvenAt: id.IssuedAt, IssuedAt: now, ExpiresAt: now.Add(a.duration),
	}
	if id.IssuedAt.IsZero() { // it does not say: as old as can be
		s.ProvenAt = time.Unix(0, 0)
	}
	if id.AWS != nil {
		s.AWSAccount = id.AWS.Account
	}
	if a.policy != nil {
		s.Policy = a.policy.String()
	}
	return s
}

// fromAWS gets real credentials: our permissions and the session policy go along as AWS's
// session policy (RULES D9).
func (h *Handler) fromAWS(ctx context.Context, a *assumption) (session.Credentials, error) {
	if h.cfg.Broker == nil {
		return session.Credentials{}, countersign.NewError(countersign.Unavailable, "", "no broker")
	}
	partition, _, _ := strings.Cut(strings.TrimPrefix(a.role.Broker.RoleARN, "arn:"), ":")
	text, err := a.permissions.AWSPolicy(partition, a.policy)
	if err != nil {
		return session.Credentials{}, err //nolint:wrapcheck // it has its words
	}
	got, err := h.cfg.Broker.Credentials(ctx, broker.Request{
		Role: a.role.Name, RoleUID: a.role.UID,
		RoleARN: a.role.Broker.RoleARN, Region: a.role.Broker.Region, Endpoint: a.role.Broker.Endpoint,
		Issuer: a.identity.Issuer, Subject: a.identity.Subject, SessionName: a.request.sessionName,
		Policy: text, Tags: a.request.tags, Duration: min(a.duration, maxBrokered),
	})
	if err != nil {
		return session.Credentials{}, err //nolint:wrapcheck // it has its words
	}
	a.brokered = &got
	return session.Credentials{
		AccessKeyID: got.AccessKeyID, SecretAccessKey: got.SecretAccessKey, SessionToken: got.SessionToken, ExpiresAt: got.ExpiresAt,
	}, nil
}

// maxBrokered is the longest that credentials of AWS live that we hand out: we can't revoke
// them (RULES D9).
const maxBrokered = time.Hour

// confirm is asked when the event is on disk, right before the credentials leave: what was
// decided at the start may have been undone since. A revocation that came in between covers
// the proof and not the session, which is younger.
//
// Errors: countersign.Denied, BadToken, Unavailable.
func (h *Handler) confirm(ctx context.Context, a *assumption, made session.Session) error {
	role, err := h.lookUp(ctx, a.role.Name)
	if err != nil {
		return err
	}
	if role.UID != a.role.UID || role.Revision != a.role.Revision {
		return comeBack(0, "the role was changed while the request was under way")
	}
	if revoked, err := h.cfg.Registry.Revoked(ctx, h.proofFacts(&a.identity)); err != nil || revoked {
		return endedMeanwhile(err)
	}
	if open, err := h.cfg.Registry.StillOpen(ctx, role, a.session(h.cfg.Now())); err != nil || !open {
		return endedMeanwhile(err)
	}
	if err := h.notDisabled(ctx, role, a); err != nil || a.role.Broker != nil {
		return err
	}
	if revoked, err := h.cfg.Registry.SessionRevoked(ctx, registry.FactsOf(made)); err != nil || revoked {
		return endedMeanwhile(err)
	}
	return h.notBorn(made)
}

// endedMeanwhile is for what was revoked between the proof and the answer.
func endedMeanwhile(err error) error {
	if err != nil {
		return fmt.Errorf("look for revocations: %w", err)
	}
	return countersign.NewError(countersign.BadToken, countersign.ReasonTokenRevoked, "the proof was revoked while the request was under way")
}

// proofFacts are what a revocation of the proof goes by.
func (h *Handler) proofFacts(id *trust.Identity) registry.TokenFacts {
	f := registry.TokenFacts{Issuer: id.Issuer, IssuedAt: id.IssuedAt}
	if id.Kind != trust.KindService {
		f.Foreign, f.Subject = true, id.Subject
		return f
	}
	f.JTI, f.KID, f.Service, f.ServiceUID = id.TokenID, id.KID, id.Service, id.ServiceUID
	return f
}

// comeBack tells a client to ask again, in a second at the earliest and an hour at the latest.
func comeBack(wait time.Duration, msg string) *countersign.Error {
	return &countersign.Error{Code: countersign.Unavailable, Reason: countersign.ReasonSessionRevoked,
		Msg: msg, RetryAfter: min(max(wait, time.Second), time.Hour)}
}

// answer renders what was issued.
func (h *Handler) answer(r *http.Request, action string, a *assumption, c session.Credentials) *assumedAnswer {
	user := assumedRoleBody{
		AssumedRoleID: roleID(a.role.UID) + ":" + a.request.sessionName,
		ARN:           h.sessionARN(a.role.Name, a.request.sessionName),
	}
	packed := 0
	if a.brokered != nil { // AWS says who that is
		user = assumedRoleBody{AssumedRoleID: a.brokered.AssumedRoleID, ARN: a.brokered.AssumedRoleARN}
		packed = a.brokered.PackedPolicySize
	}
	return &assumedAnswer{action: action, metadata: metadata{requestID(r)}, result: assumedBody{
		AssumedRoleUser: user, Credentials: newCredentialsBody(c), PackedPolicySize: packed,
	}}
}

func (h *Handler) sessionARN(role, name string) string {
	return "arn:aws:sts::" + h.cfg.AccountID + ":assumed-role/" + role + "/" + name
}

// roleID is a role's unique id in the form of AWS's.
func roleID(uid string) string {
	sum := sha256.Sum256([]byte(uid))
	return "AROA" + base32.StdEncoding.EncodeToString(sum[:])[:17]
}
