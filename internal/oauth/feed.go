package oauth

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/registry"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/web"
	"github.com/countersign/countersign/verify"
)

const (
	// maxFeedWait is below the time in which a listener wants to have read a request: it
	// would take a longer wait for a client that has gone.
	maxFeedWait = 25 * time.Second
	// maxFeedPage bounds the entries of one answer.
	maxFeedPage = 1000
	// maxFollowers bounds the requests that are held at a time, and with them what they
	// take of the listener's concurrency. Others are answered at once and come back.
	maxFollowers = 2048
	// maxFollowersPerAddress leaves an address, of a proxy maybe, most of its places for
	// requests of another kind.
	maxFollowersPerAddress = 256
	maxEpoch               = 128
	maxCatchUp             = 2 * time.Second
)

// feedQuery is what a follower of the feed asks for.
type feedQuery struct {
	since int64
	epoch string
	wait  time.Duration
}

func parseFeedQuery(r *http.Request) (q feedQuery, err error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, invalid(countersign.ReasonParameterInvalid, "the query can't be parsed")
	}
	for name, all := range values {
		if len(all) > 1 {
			return q, invalid(countersign.ReasonParameterDuplicated, "a query parameter comes twice")
		}
		switch value := all[0]; name {
		case "since":
			q.since, err = strconv.ParseInt(value, 10, 64)
		case "epoch":
			q.epoch = value
		case "wait":
			q.wait, err = time.ParseDuration(value)
		default:
			return q, invalid(countersign.ReasonFieldUnknown, "there is a query parameter that is not known here")
		}
		if err != nil || q.since < 0 || q.wait < 0 || len(q.epoch) > maxEpoch {
			return q, invalid(countersign.ReasonParameterInvalid, "since is a number, epoch a short text and wait a duration")
		}
	}
	q.wait = min(q.wait, maxFeedWait)
	return q, nil
}

// Revocations is the feed that receivers and gateways follow: what was revoked after a
// number, signed by a key of its own (RULES E1). With wait it is held until there is
// something new.
//
// Source: RFC 7515 §3.1; the document is our own, see [verify.FeedPage].
func (h *Handler) Revocations(w http.ResponseWriter, r *http.Request) error {
	q, err := parseFeedQuery(r)
	if err != nil {
		return err
	}
	page, err := h.feedPage(r.Context(), q)
	if err != nil {
		return err
	}
	header := w.Header()
	header["Cache-Control"] = noStoreValue
	header["X-Content-Type-Options"] = noSniffValue
	etag := `"` + page.Epoch + "-" + strconv.FormatInt(page.Since, 10) + "-" + strconv.FormatInt(page.Seq, 10) + `"`
	header["Etag"] = []string{etag}
	if etagMatches(r.Header.Values("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	body, err := h.signed.page(h.cfg.Keys, page)
	if err != nil {
		return err
	}
	header.Set("Content-Type", verify.FeedMediaType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body) // an error means that the client has gone
	return nil
}

// feedPage waits for news, if it may, and returns what there is.
func (h *Handler) feedPage(ctx context.Context, q feedQuery) (verify.FeedPage, error) {
	news := h.cfg.Registry.Watch() // before the look: what comes in between wakes us
	page, err := h.look(ctx, q)
	if err == nil && len(page.Entries) == 0 && page.Epoch == q.epoch && page.Since == q.since && q.wait > 0 && h.await(ctx, news, q.wait) {
		page, err = h.look(ctx, q)
	}
	if err := ctx.Err(); err != nil {
		return verify.FeedPage{}, countersign.WrapError(countersign.Unavailable, "", "", fmt.Errorf("wait for revocations: %w", err))
	}
	return page, err
}

// look returns what there is now. A number of another epoch means nothing here. One of ours
// that is above what is known here is another replica's, which was faster; if it still is when
// everything is known, the numbers were given anew, and who has it starts anew.
func (h *Handler) look(ctx context.Context, q feedQuery) (verify.FeedPage, error) {
	fresh, view, err := h.view(q)
	if err == nil && view.Ahead {
		if err = h.catchUp(ctx); err == nil {
			fresh, view, err = h.view(q)
		}
		if err == nil && view.Ahead {
			fresh, view, err = h.view(feedQuery{epoch: q.epoch})
		}
	}
	if err != nil {
		return verify.FeedPage{}, err
	}
	page := verify.FeedPage{
		Issuer: h.cfg.Issuer, IssuedAt: h.cfg.Now().Unix(), Epoch: view.Epoch, Since: view.Since, Seq: view.Seq, More: view.More,
		FreshAt: fresh.UnixMilli(), Entries: make([]verify.Revocation, 0, len(view.Entries)),
	}
	for _, entry := range view.Entries {
		page.Entries = append(page.Entries, feedEntry(entry))
	}
	return page, nil
}

// view takes the time for which the page is complete before the page: a poll in between makes
// it true of a later one, which nobody is told, and not the other way round.
func (h *Handler) view(q feedQuery) (fresh time.Time, page registry.FeedPage, err error) {
	fresh, _, stale := h.cfg.Registry.Fresh()
	if stale {
		return fresh, page, countersign.NewError(countersign.Unavailable, countersign.ReasonStale, "what was revoked lately is not known here now")
	}
	return fresh, h.cfg.Registry.Page(q.epoch, q.since, maxFeedPage), nil
}

// catchUp makes the view know what another replica may know. Without the database nobody can
// tell whose number is right: the follower keeps what it has.
func (h *Handler) catchUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, maxCatchUp)
	defer cancel()
	return h.cfg.Registry.CatchUp(ctx) //nolint:wrapcheck // it has its words
}

// await waits for news; false when there are too many who wait.
func (h *Handler) await(ctx context.Context, news <-chan struct{}, wait time.Duration) bool {
	if addr := web.ClientAddr(ctx); h.followersBy.Take(addr) {
		defer h.followersBy.Give(addr)
	} else {
		return false
	}
	select {
	case h.followers <- struct{}{}:
		defer func() { <-h.followers }()
	default:
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-news:
	case <-timer.C:
	case <-h.stopping:
	case <-ctx.Done():
	}
	return true
}

func feedEntry(r store.Revocation) verify.Revocation {
	entry := verify.Revocation{
		Seq: r.Seq, JTI: r.JTI, Service: r.Service, ServiceUID: r.ServiceUID,
		Issuer: r.Issuer, Subject: r.Subject, KID: r.KID, All: r.All,
		Role: r.Role, RoleUID: r.RoleUID, Session: r.Session,
	}
	if !r.Before.IsZero() {
		entry.Before = r.Before.UnixMilli()
	}
	if !r.ExpiresAt.IsZero() {
		entry.Expires = r.ExpiresAt.Add(time.Second - 1).Unix() // never earlier than it is
	}
	return entry
}

// signedPage keeps the page that was signed last: after a revocation all followers ask
// for the same one. Key: what it says, to the second; bound: one.
type signedPage struct {
	mu   sync.Mutex
	last verify.FeedPage // without Entries, which follow from the rest
	kid  string
	body []byte
}

// page returns the compact JWS of p.
func (s *signedPage) page(ring *keys.Ring, p verify.FeedPage) ([]byte, error) {
	signer, err := ring.Signer(keys.Revocation)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	same := s.last.Epoch == p.Epoch && s.last.Since == p.Since && s.last.Seq == p.Seq && s.last.More == p.More && s.last.IssuedAt == p.IssuedAt
	if same && s.kid == signer.KID {
		return s.body, nil
	}
	payload, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode the feed: %w", err)
	}
	header, err := json.Marshal(map[string]string{"alg": signer.Algorithm, "typ": verify.FeedTokenType, "kid": signer.KID})
	if err != nil {
		return nil, fmt.Errorf("encode the feed's header: %w", err)
	}
	text := base64.RawURLEncoding.AppendEncode(nil, header)
	text = append(text, '.')
	text = base64.RawURLEncoding.AppendEncode(text, payload)
	signature, err := signer.Sign(text)
	if err != nil {
		return nil, fmt.Errorf("sign the feed: %w", err)
	}
	text = append(text, '.')
	text = base64.RawURLEncoding.AppendEncode(text, signature)
	s.last, s.kid, s.body = p, signer.KID, text
	s.last.Entries = nil
	return text, nil
}

// RevocationKeys returns the public keys of the feed: other ones than the tokens'
// (RULES B7).
//
// Source: RFC 7517 §5.
func (h *Handler) RevocationKeys(w http.ResponseWriter, r *http.Request) error {
	return h.keySet(w, r, keys.Revocation)
}

// PolicyKeys returns the public keys of the route policies that receivers fetch.
//
// Source: RFC 7517 §5.
func (h *Handler) PolicyKeys(w http.ResponseWriter, r *http.Request) error {
	return h.keySet(w, r, keys.Policy)
}

func (h *Handler) keySet(w http.ResponseWriter, r *http.Request, purpose keys.Purpose) error {
	body, etag := any(h.cfg.Keys).(interface {
		KeySet(keys.Purpose) ([]byte, string)
	}).KeySet(purpose)
	writeDocument(w, r, document{body: body, etag: etag})
	return nil
}
