package tokensource

import (
	"context"
	"strings"
	"time"

	"github.com/countersign/countersign"
)

// Token is a token to send.
type Token struct {
	Value countersign.Secret
	// ExpiresAt is when it is certainly of no more use; zero = not known.
	ExpiresAt time.Time
}

// Source gives service tokens. Implementations are safe for concurrent use.
type Source interface {
	// Token returns a token for an audience that is valid now.
	Token(ctx context.Context, audience string) (Token, error)
}

// Invalidator is a Source that can be told that a receiver refused a token: the next
// Token call gets a fresh one. A token is dropped once: a second refusal of its
// successor does not make a storm.
type Invalidator interface {
	Invalidate(audience string, token Token)
}

// SourceFunc makes a [Source] of a function, which must be safe for concurrent use.
type SourceFunc func(ctx context.Context, audience string) (Token, error)

// Token implements [Source].
//
// Errors: those of the function.
func (f SourceFunc) Token(ctx context.Context, audience string) (Token, error) {
	return f(ctx, audience)
}

// maxTokenBytes bounds a token that is taken in: more than any server's header limit
// leaves room for.
const maxTokenBytes = 16 << 10

// isBearerToken reports whether text can stand behind "Bearer " in a header.
//
// Source: RFC 6750 §2.1 (b64token).
func isBearerToken(text string) bool {
	body := strings.TrimRight(text, "=")
	if body == "" || len(text) > maxTokenBytes {
		return false
	}
	for _, c := range []byte(body) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("-._~+/", c) >= 0:
		default:
			return false
		}
	}
	return true
}
