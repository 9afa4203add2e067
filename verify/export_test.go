package verify

import (
	"context"
	"time"
)

// ParseFeedPage is the parser of the feed, for fuzzing.
var ParseFeedPage = parseFeedPage

// FeedHooks take the place of a verifier's waiting, before its first token.
type FeedHooks struct {
	Sleep    func(context.Context, time.Duration)
	Taken    func(error) // hears of every attempt
	Patience time.Duration
	Longing  time.Duration
}

// SetFeedHooks sets the hooks of all followers.
func (v *Verifier) SetFeedHooks(h FeedHooks) {
	v.feeds.patience, v.feeds.longing = h.Patience, h.Longing
	for _, f := range v.feeds.followers {
		f.taken = h.Taken
		if h.Sleep != nil {
			f.sleep = h.Sleep
		}
	}
}

// FeedEntries counts what is kept of all feeds.
func (v *Verifier) FeedEntries() int {
	n := 0
	for _, f := range v.feeds.followers {
		if s := f.set.Load(); s != nil {
			s.mu.RLock()
			n += s.count
			s.mu.RUnlock()
		}
	}
	return n
}

// LimitFeed bounds every set that is made from now on.
func (v *Verifier) LimitFeed(limit int) {
	for _, f := range v.feeds.followers {
		f.limit = limit
	}
}

// FeedFollowers counts the followers.
func (v *Verifier) FeedFollowers() int { return len(v.feeds.followers) }

// Done is closed when the verifier is.
func (v *Verifier) Done() <-chan struct{} { return v.feeds.ctx.Done() }
