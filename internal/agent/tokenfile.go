package agent

import (
	"context"
	"log/slog"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
)

// The times between two looks at the source: it refreshes a token in the background when
// it is asked, and the new one is there at the next look.
const (
	shortestLook = time.Second
	longestLook  = 30 * time.Second
)

// TokenFile keeps a fresh token in a file, as a web identity for programs that read one:
// AWS_WEB_IDENTITY_TOKEN_FILE. The file is of mode 0600 and is replaced at once.
type TokenFile struct {
	// Path of the file, Source of the token and the Audience it is for; all required.
	Path     string
	Source   tokensource.Source
	Audience string
	// Logger; nil = discard.
	Logger *slog.Logger

	written countersign.Secret
}

// Write writes the token if it is another than the one that was written last, and says
// when to look again.
//
// Errors: those of the source; countersign.Unavailable.
func (f *TokenFile) Write(ctx context.Context) (again time.Duration, err error) {
	token, err := f.Source.Token(ctx, f.Audience)
	if err != nil {
		return longestLook, err
	}
	if !token.Value.Equal(f.written) {
		if err := replaceFile(f.Path, token.Value.Reveal()); err != nil {
			return longestLook, err
		}
		f.written = token.Value
	}
	if token.ExpiresAt.IsZero() {
		return longestLook, nil
	}
	return min(max(time.Until(token.ExpiresAt)/10, shortestLook), longestLook), nil
}

// Run keeps the file fresh until ctx ends. A token that can't be had leaves the last one
// where it is: it serves until it expires.
func (f *TokenFile) Run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for failed := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		again, err := f.Write(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && f.Logger != nil:
			f.Logger.WarnContext(ctx, "the token file was not refreshed",
				slog.String("path", f.Path), slog.String("reason", string(countersign.ReasonOf(err))), slog.Any("error", err))
			failed = true
		case failed && f.Logger != nil:
			f.Logger.InfoContext(ctx, "the token file is fresh again", slog.String("path", f.Path))
			failed = false
		}
		timer.Reset(again)
	}
}
