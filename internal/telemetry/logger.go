package telemetry

import (
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

const redacted = "REDACTED"

// secretWords: an attribute whose name contains one of them is not printed.
var secretWords = []string{
	"token", "secret", "password", "passphrase", "authorization", "cookie", "assertion", "credential", "private_key", "master_key",
}

// harmlessEndings: names of facts about a secret thing that aren't secret.
var harmlessEndings = []string{"_id", "_type", "_count", "_url", "_file", "_lifetime"}

// secretText finds what is a secret wherever it stands: our client secrets, and JWTs.
var secretText = regexp.MustCompile(`csk_[A-Za-z0-9_-]+|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_.-]*`)

// NewLogger returns a logger that writes one JSON object per line to w, from level up.
// Attributes whose name reads like a token, secret, password, assertion, cookie or
// authorization are printed as REDACTED, so are headers and form values of any name,
// and JWTs and client secrets within any text. Safe for concurrent use.
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: redact}))
}

func redact(groups []string, a slog.Attr) slog.Attr {
	if isSecretName(a.Key) {
		return slog.String(a.Key, redacted)
	}
	for _, group := range groups {
		if isSecretName(group) {
			return slog.String(a.Key, redacted)
		}
	}
	switch a.Value.Kind() { //nolint:exhaustive // the other kinds hold no text
	case slog.KindString:
		return slog.String(a.Key, scrub(a.Value.String()))
	case slog.KindAny:
		return slog.Attr{Key: a.Key, Value: redactAny(a.Value)}
	}
	return a
}

func redactAny(v slog.Value) slog.Value {
	switch value := v.Any().(type) {
	case error:
		return slog.StringValue(scrub(value.Error()))
	case http.Header, *http.Request, *http.Response, url.Values:
		return slog.StringValue(redacted)
	}
	return v
}

func isSecretName(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	for _, ending := range harmlessEndings {
		if strings.HasSuffix(name, ending) {
			return false
		}
	}
	for _, word := range secretWords {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

func scrub(text string) string {
	if !strings.Contains(text, "csk_") && !strings.Contains(text, "eyJ") {
		return text
	}
	return secretText.ReplaceAllString(text, redacted)
}
