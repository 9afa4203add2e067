package tokensource

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"math"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/countersign/countersign"
)

// lookEvery is how often a [File] looks whether the file has changed.
const lookEvery = 5 * time.Second

// File gives the token that stands in a file and that something else keeps fresh: a
// Kubernetes projected token, an agent. It looks for a change at most every 5 seconds,
// or at once when the token has expired. Use a pointer; fill the fields in before the
// first use and don't change them after it. Safe for concurrent use.
//
// The token's own exp says when it ends. It is read without verifying anything: the
// receiver does that. While the file can't be read, the last token is given until it
// ends.
type File struct {
	// Path of the file: one token, at most 16 KiB; white space around it is ignored.
	// Required.
	Path string
	// Audience is the only one that the token is given for; "" = it is given for every
	// audience.
	Audience string
	// Now is the clock; nil = time.Now.
	Now func() time.Time

	mu       sync.Mutex
	lookedAt time.Time
	seen     os.FileInfo // what the token was read from; nil = nothing yet
	token    Token
	err      error // why the last look found no token
}

// Token returns the token in the file.
//
// Errors: [countersign.Unavailable] (the file can't be read or holds no token),
// [countersign.Expired], [countersign.BadTarget] (another audience than Audience).
func (f *File) Token(_ context.Context, audience string) (Token, error) {
	if f.Audience != "" && audience != f.Audience {
		return Token{}, countersign.NewError(countersign.BadTarget, countersign.ReasonAudienceNotGranted,
			"the token file is for another audience")
	}
	now := time.Now
	if f.Now != nil {
		now = f.Now
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	at := now()
	if due := f.lookedAt.Add(lookEvery); !at.Before(due) || at.Before(f.lookedAt) || f.expired(at) {
		f.lookedAt = at
		f.err = f.look()
	}
	switch {
	case f.token.Value.IsZero():
		return Token{}, f.err
	case f.expired(at):
		return Token{}, countersign.WrapError(countersign.Expired, countersign.ReasonTokenExpired,
			"the token in the file has expired", f.err)
	}
	return f.token, nil
}

func (f *File) expired(at time.Time) bool {
	return !f.token.ExpiresAt.IsZero() && !at.Before(f.token.ExpiresAt)
}

// look reads the file if it has changed. The last token stays when it can't.
func (f *File) look() error {
	info, err := os.Stat(f.Path)
	if err != nil {
		return countersign.WrapError(countersign.Unavailable, "", "the token file can't be read", err)
	}
	if f.seen != nil && os.SameFile(info, f.seen) && info.ModTime().Equal(f.seen.ModTime()) && info.Size() == f.seen.Size() {
		return nil
	}
	text, err := readFile(f.Path, maxTokenBytes)
	if err != nil {
		return countersign.WrapError(countersign.Unavailable, "", "the token file can't be read", err)
	}
	if !isBearerToken(text) {
		return countersign.NewError(countersign.Unavailable, countersign.ReasonTokenMalformed, "the token file holds no token")
	}
	f.seen = info
	f.token = Token{Value: countersign.NewSecret(text), ExpiresAt: expiryUnverified(text)}
	return nil
}

// expiryUnverified returns the exp of a JWT without believing anything else of it; zero
// when the token is no JWT or has none.
//
// Source: RFC 7519 §4.1.4.
func expiryUnverified(token string) time.Time {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return time.Time{}
	}
	var claims struct {
		Expiry *float64 `json:"exp"`
	}
	if json.Unmarshal(payload, &claims) != nil || claims.Expiry == nil {
		return time.Time{}
	}
	const latest = 1 << 40 // seconds; far beyond any use, far below what time.Time can't hold
	seconds := math.Floor(*claims.Expiry)
	if seconds > latest || seconds < 1 {
		return time.Unix(1, 0) // no date at all: better to refuse than to send for ever
	}
	return time.Unix(int64(seconds), 0)
}
