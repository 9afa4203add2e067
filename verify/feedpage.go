package verify

import (
	"context"
	"errors"
	"time"
)

// maxPageAge is how old the signature of a page may be.
const maxPageAge = 2 * time.Minute

// Why a page is refused. No text holds anything of the page.
var (
	errPageType   = errors.New("page: the header is not that of a page of revocations")
	errPageIssuer = errors.New("page: it is another issuer's")
	errPageTime   = errors.New("page: it is too old or from the future")
	errPageAsked  = errors.New("page: it is not what was asked for")
	errPageBack   = errors.New("page: it goes back behind what is known")
	errPageEpoch  = errors.New("page: another epoch, the feed is read anew")
)

// open checks where a page is from: type, key, signature, issuer and time. The key is
// one of the feed's own set, so no key of tokens can sign a page and none of pages a
// token (RULES B7).
//
// Source: RFC 7515 §5.2, RFC 8037 §3.1.
func (f *follower) open(ctx context.Context, body string, now time.Time) (FeedPage, error) {
	var mem scratch
	var d document
	if err := d.parse(body, &mem); err != nil {
		return FeedPage{}, err
	}
	h := &d.header
	if h.forbidden != "" || h.algorithm != EdDSA || h.typ != FeedTokenType || h.keyID == "" {
		return FeedPage{}, errPageType
	}
	key, err := f.keys.Key(ctx, h.keyID, EdDSA)
	if err != nil {
		return FeedPage{}, err
	}
	if err := checkSignature(EdDSA, key, d.signingInput, d.signature); err != nil {
		return FeedPage{}, err
	}
	page, err := parseFeedPage(d.claims.text)
	if err != nil {
		return FeedPage{}, err
	}
	latest := now.Unix() + skew
	switch {
	case page.Issuer != f.issuer:
		return FeedPage{}, errPageIssuer
	case page.IssuedAt < now.Add(-maxPageAge).Unix(), page.IssuedAt > latest, page.FreshAt/1000 > latest:
		return FeedPage{}, errPageTime
	}
	return page, nil
}

// take brings a page into force, or nothing of it. What was in force stays so until
// there is a whole new state.
func (f *follower) take(page FeedPage, asked position, now time.Time) error {
	follows := page.Epoch == asked.epoch && page.Since == asked.seq
	switch {
	case follows && f.building != nil:
		return f.build(page, now)
	case follows && f.at.epoch != "":
		return f.extend(page, now)
	}
	restarted := f.building != nil
	f.building = nil
	switch {
	case f.at.epoch != "" && page.Epoch != f.at.epoch && page.FreshAt <= f.at.freshAt:
		return errPageBack // of an epoch that is over
	case page.Since != 0 && page.Epoch != asked.epoch:
		f.begin(page.Epoch, now)
		return errPageEpoch
	case page.Since != 0:
		return errPageAsked
	}
	f.begin(page.Epoch, now)
	if err := f.build(page, now); err != nil {
		return err
	}
	if restarted && page.More {
		return errPageAsked // it is good, but a server that does it again is not asked at once
	}
	return nil
}

// begin starts a state of its own.
func (f *follower) begin(epoch string, now time.Time) {
	f.building, f.begun = newRevocationSet(f.issuer, f.limit, now), position{epoch: epoch}
}

// build takes a page into the state that is being built and, when it is whole, puts that
// in the place of the old one. In one epoch it may not end before the old one: that
// would be a replica that lags behind, or a page that was sent before.
func (f *follower) build(page FeedPage, now time.Time) error {
	if err := f.building.add(page.Entries, now); err != nil {
		f.building = nil
		return err
	}
	f.begun.seq = page.Seq
	if page.More {
		return nil
	}
	whole := f.building
	f.building = nil
	if page.Epoch == f.at.epoch && page.Seq < f.at.seq {
		return errPageBack
	}
	same := page.Epoch == f.at.epoch
	f.set.Store(whole)
	f.generation.Add(1)
	f.advance(page, same, now)
	f.settle()
	return nil
}

// extend takes a page into the state that is in force.
func (f *follower) extend(page FeedPage, now time.Time) error {
	if err := f.set.Load().add(page.Entries, now); err != nil {
		return err
	}
	if len(page.Entries) > 0 {
		f.generation.Add(1)
	}
	f.advance(page, true, now)
	return nil
}

// advance notes up to where the feed is known now. In one epoch a page that is older
// than one before makes nothing fresh: it may have been sent before.
func (f *follower) advance(page FeedPage, same bool, now time.Time) {
	f.at.epoch, f.at.seq = page.Epoch, page.Seq
	if page.More || same && page.FreshAt <= f.at.freshAt {
		return
	}
	f.at.freshAt = page.FreshAt
	f.fresh.Store(min(page.FreshAt, now.UnixMilli()))
}
