package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/tokensource"
	"github.com/countersign/countersign/transport"
)

// step is one scene: what happens, and the outcome that it must have.
type step struct {
	title string
	play  func(ctx context.Context) (reply, error)
	// status and reason are what must come back; reason "" = an allowed call.
	status int
	reason countersign.Reason
	// service and user are whom the receiver must have seen.
	service, user string
}

// reply is what came back from a call.
type reply struct {
	status int
	Reason countersign.Reason `json:"reason"`
	Error  string             `json:"error"`
	// At, Service and User are whom the receiver says that it saw.
	At, Service, User string
	// note is shown beside it.
	note string
}

// story returns the scenes in order. alice is a user's token from the foreign issuer.
func (s *stage) story(alice string) []step {
	return slices.Concat(s.callScenes(alice), s.credentialScenes(), s.storageScenes(), s.endScenes())
}

// callScenes are those of services that call each other.
func (s *stage) callScenes(alice string) []step {
	return []step{
		{title: "document-service calls parse-service", status: 200, service: "document-service",
			play: s.asService(s.documents, s.parse, http.MethodPost, "/v1/parse")},
		{title: "backend-actor calls parse-service, which lets in document-service only", status: 403, reason: countersign.ReasonServiceNotAllowed,
			play: s.asService(s.actor, s.parse, http.MethodPost, "/v1/parse")},
		{title: "somebody without any token calls parse-service", status: 401, reason: countersign.ReasonTokenMissing,
			play: s.bearer("", http.MethodPost, s.parse, "/v1/parse")},
		{title: "a thief sends alice's stolen token straight to document-service", status: 403, reason: countersign.ReasonServiceRequired,
			play: s.bearer(alice, http.MethodGet, s.documents, "/v1/documents/7")},
		{title: "alice asks backend-actor, which calls document-service: both identities arrive", status: 200, service: "backend-actor", user: "alice",
			play: s.bearer(alice, http.MethodGet, s.actor, "/v1/my/documents/7")},
		{title: "alice asks backend-actor, which calls a receiver that knows users only", status: 200, user: "alice",
			play: s.bearer(alice, http.MethodGet, s.actor, "/v1/my/profile")},
		{title: "the nightly clean-up calls document-service; there is no user", status: 200, service: "nightly-cleanup",
			play: s.asService(s.cleanup, s.documents, http.MethodDelete, "/v1/documents/old")},
		{title: "the nightly clean-up calls the machine-only door, which needs s2s:internal", status: 200, service: "nightly-cleanup",
			play: s.asService(s.cleanup, s.parse, http.MethodPost, "/v1/internal/reindex")},
		{title: "alice's token at the machine-only door", status: 403, reason: countersign.ReasonUserNotAllowed,
			play: s.bearer(alice, http.MethodPost, s.parse, "/v1/internal/reindex")},
		{title: "document-service, without that scope, at the machine-only door", status: 403, reason: countersign.ReasonScopeMissing,
			play: s.asService(s.documents, s.parse, http.MethodPost, "/v1/internal/reindex")},
		{title: "a route policy lets document-service POST below /v1/parse/", status: 200, service: "document-service",
			play: s.asService(s.documents, s.parse, http.MethodPost, "/v1/parse/7")},
		{title: "it lets backend-actor do no such thing", status: 403, reason: countersign.ReasonRouteNotAllowed,
			play: s.asService(s.actor, s.parse, http.MethodPost, "/v1/parse/7")},
		{title: "it lets alice, an administrator of acme, read her tenant through backend-actor", status: 200, service: "backend-actor", user: "alice",
			play: s.bearer(alice, http.MethodGet, s.actor, "/v1/my/tenants/acme")},
		{title: "it does not let her read another tenant", status: 403, reason: countersign.ReasonRouteNotAllowed,
			play: s.bearer(alice, http.MethodGet, s.actor, "/v1/my/tenants/globex")},
		{title: "a path that hides where it leads is refused", status: 403, reason: countersign.ReasonRouteNotCanonical,
			play: s.asService(s.documents, s.parse, http.MethodPost, "/v1/parse/%2e%2e/tenants")},
	}
}

// endScenes are those in which access ends, and the audit trail is read.
func (s *stage) endScenes() []step {
	return []step{
		{title: "an administrator revokes the tokens of nightly-cleanup, whose token worked a moment ago: the receiver refuses it", status: 401, reason: countersign.ReasonTokenRevoked,
			play: s.revokedInMidStory},
		{title: "an administrator disables nightly-cleanup, which then asks for a token", status: 401, reason: countersign.ReasonClientDisabled,
			play: s.disabledAsksForToken},
		{title: "the audit trail of it all is verified", status: 200, play: s.auditTrail},
	}
}

func (s *service) host() string {
	u, err := url.Parse(s.url)
	if err != nil {
		return ""
	}
	return u.Host
}

// asService plays a call from one service to another, with the caller's own identity.
func (s *stage) asService(from, to *service, method, path string) func(context.Context) (reply, error) {
	return func(ctx context.Context) (reply, error) {
		client := from.client(transport.UserAndService, map[string]string{to.host(): to.name})
		return s.send(ctx, client, method, to.url+path, "")
	}
}

// bearer plays a call by somebody who holds a token, and nothing else.
func (s *stage) bearer(token, method string, to *service, path string) func(context.Context) (reply, error) {
	return func(ctx context.Context) (reply, error) {
		return s.send(ctx, http.DefaultClient, method, to.url+path, token)
	}
}

func (s *stage) send(ctx context.Context, client *http.Client, method, target, token string) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, target, http.NoBody)
	if err != nil {
		return reply{}, fmt.Errorf("make the request: %w", err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return reply{}, fmt.Errorf("call %s: %w", target, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return reply{}, fmt.Errorf("read the answer: %w", err)
	}
	out := reply{status: response.StatusCode}
	_ = json.Unmarshal(body, &out) // a body that is no JSON says nothing that we look at
	return out, nil
}

// reach is how long the demo waits for a revocation to reach a receiver: far longer than
// it takes, so that a busy machine tells no wrong story.
const reach = 5 * time.Second

// revokedInMidStory holds on to one token, as a thief would, who never asks for another.
func (s *stage) revokedInMidStory(ctx context.Context) (reply, error) {
	held, err := s.cleanup.source.Token(ctx, s.documents.name)
	if err != nil {
		return reply{}, fmt.Errorf("get a token: %w", err)
	}
	call := s.bearer(held.Value.Reveal(), http.MethodDelete, s.documents, "/v1/documents/old")
	if before, err := call(ctx); err != nil || before.status != http.StatusOK {
		return before, err
	}
	if _, err := s.admin.RevokeService(ctx, s.cleanup.name); err != nil {
		return reply{}, fmt.Errorf("revoke: %w", err)
	}
	for began := time.Now(); ; {
		after, err := call(ctx)
		took := time.Since(began)
		if err != nil || after.status != http.StatusOK || took > reach {
			after.note = fmt.Sprintf("%d ms after the revocation", took.Milliseconds())
			return after, err
		}
		select {
		case <-time.After(5 * time.Millisecond): // the receiver hears of it by itself
		case <-ctx.Done():
			return reply{}, ctx.Err()
		}
	}
}

// disabledAsksForToken uses a fresh source: the one in use still holds a token.
func (s *stage) disabledAsksForToken(ctx context.Context) (reply, error) {
	if _, err := s.admin.DisableService(ctx, s.cleanup.name, iamclient.AnyRevision); err != nil {
		return reply{}, fmt.Errorf("disable: %w", err)
	}
	source := &tokensource.ClientCredentials{
		TokenURL: s.cleanup.source.TokenURL, ClientID: s.cleanup.name, ClientSecret: s.cleanup.source.ClientSecret,
	}
	defer func() { _ = source.Close() }()
	_, err := source.Token(ctx, "document-service")
	if err == nil {
		return reply{status: http.StatusOK}, nil
	}
	if countersign.CodeOf(err) != countersign.BadClient {
		return reply{}, err
	}
	// The caller is told no more than a wrong secret would be; the audit log knows.
	page, err := s.admin.AuditEvents(ctx, iamclient.AuditQuery{Decision: "refused", Service: s.cleanup.name, Limit: 1, Newest: true})
	if err != nil {
		return reply{}, fmt.Errorf("ask the audit log: %w", err)
	}
	refusal := reply{status: http.StatusUnauthorized}
	for _, event := range page.Events {
		refusal.Reason = countersign.Reason(event.Reason)
	}
	return refusal, nil
}

// auditTrail lets the services send what they have to report, and then has the
// server check every chain.
func (s *stage) auditTrail(ctx context.Context) (reply, error) {
	for _, service := range []*service{s.documents, s.parse, s.actor} {
		if err := service.recorder.Flush(ctx); err != nil {
			return reply{}, fmt.Errorf("%s reports: %w", service.name, err)
		}
	}
	page, err := s.admin.AuditEvents(ctx, iamclient.AuditQuery{Limit: 1000})
	if err != nil {
		return reply{}, fmt.Errorf("read the audit log: %w", err)
	}
	told := make(map[string]bool)
	for _, event := range page.Events {
		told[event.Reason] = true
	}
	for _, reason := range refusals {
		if !told[string(reason)] {
			return reply{status: http.StatusConflict, note: "no event tells of " + string(reason)}, nil
		}
	}
	report, err := s.admin.VerifyAudit(ctx)
	if err != nil {
		return reply{}, fmt.Errorf("verify the audit log: %w", err)
	}
	if !report.OK {
		return reply{status: http.StatusConflict, note: fmt.Sprintf("%d findings", len(report.Findings))}, nil
	}
	return reply{status: http.StatusOK, note: fmt.Sprintf("%d events, every chain whole", report.Events)}, nil
}

// refusals are the reasons that the story must have left in the audit log.
var refusals = []countersign.Reason{
	countersign.ReasonServiceNotAllowed, countersign.ReasonTokenMissing, countersign.ReasonUserNotAllowed,
	countersign.ReasonRouteNotAllowed, countersign.ReasonRouteNotCanonical,
	countersign.ReasonTrustNotMatched, countersign.ReasonProofServerID, countersign.ReasonSessionRevoked, countersign.ReasonActionNotAllowed,
	countersign.ReasonServiceRequired, countersign.ReasonScopeMissing, countersign.ReasonTokenRevoked, countersign.ReasonClientDisabled,
}
