package awscreds

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
)

// WebIdentityConfig says which token is traded, where, and for which role.
type WebIdentityConfig struct {
	// STS is the endpoint: https://auth.example.com/sts of Countersign, or
	// https://sts.REGION.amazonaws.com of AWS. https, or http on loopback. Required.
	STS string
	// RoleARN is arn:aws:iam::ACCOUNT:role/NAME. Required.
	RoleARN string
	// Source gives the token, for Audience. One that is also a [tokensource.Invalidator]
	// is told when the STS refused a token, and asked once more. Required.
	Source tokensource.Source
	// Audience that Source is asked for; "" = "sts". A source with tokens for one
	// audience only (a Cognito account, a token file) may ignore it.
	Audience string
	// RoleSessionName is shown in the ARN of the session and proves nothing: 2 to 64 of
	// letters, digits and _+=,.@-. "" = the subject of the token.
	RoleSessionName string
	// Duration of the credentials: 15 minutes to the role's maximum, at most 12 hours.
	// 0 = the STS's default, an hour.
	Duration time.Duration
	// Policy narrows the role's permissions: an IAM policy document, at most 2048 bytes;
	// "" = all of them.
	Policy string
	// RefreshBefore is how long before their end credentials are replaced: that, or up to
	// half as much again, but never more than half of their life. 0 = 60 seconds. Who
	// hands them on to programs that want fresher ones sets more.
	RefreshBefore time.Duration
	// HTTPClient; nil = the guarded client of package egress, which may dial private
	// addresses here, because STS is the program's own configuration. Of another client
	// the transport is used; redirects are never followed and cookies never kept.
	HTTPClient *http.Client
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// defaultAudience is the audience of tokens for the STS (INTERFACE, "AWS credentials").
const defaultAudience = "sts"

// webIdentity is a checked WebIdentityConfig.
type webIdentity struct {
	sts
	source   tokensource.Source
	audience string
}

// NewWebIdentity returns a provider that trades a token for the credentials of a role, by
// AssumeRoleWithWebIdentity. A configuration that can't work is an error of every
// Retrieve.
//
// Source: AWS STS API reference, AssumeRoleWithWebIdentity.
func NewWebIdentity(cfg WebIdentityConfig) *Provider {
	p := newProvider(cfg.Now, cfg.RefreshBefore)
	w := &webIdentity{source: cfg.Source, audience: cfg.Audience, sts: sts{
		url: cfg.STS, roleARN: cfg.RoleARN, session: cfg.RoleSessionName,
		duration: cfg.Duration, policy: cfg.Policy, now: p.now,
	}}
	if w.audience == "" {
		w.audience = defaultAudience
	}
	if p.failed = w.check(cfg.HTTPClient); p.failed == nil {
		p.end = w.close
		if cfg.Source == nil {
			p.failed = invalid("Source is required")
		}
	}
	p.login = w.login
	return p
}

func (w *webIdentity) login(ctx context.Context) (aws.Credentials, error) {
	token, err := w.source.Token(ctx, w.audience)
	if err != nil {
		return aws.Credentials{}, withCode(err, "get the token to show")
	}
	credentials, err := w.trade(ctx, token)
	invalidator, ok := w.source.(tokensource.Invalidator)
	if !ok || !errors.Is(err, countersign.BadToken) && !errors.Is(err, countersign.Expired) {
		return credentials, err
	}
	// Perhaps it was revoked, or its key is gone: once more with a fresh one, if there is.
	invalidator.Invalidate(w.audience, token)
	fresh, tokenErr := w.source.Token(ctx, w.audience)
	if tokenErr != nil || fresh.Value.Equal(token.Value) {
		return aws.Credentials{}, err
	}
	return w.trade(ctx, fresh)
}

func (w *webIdentity) trade(ctx context.Context, token tokensource.Token) (aws.Credentials, error) {
	session := w.session
	if session == "" {
		session = sessionOf(token.Value.Reveal())
	}
	form := w.form("AssumeRoleWithWebIdentity", session)
	form.Set("WebIdentityToken", token.Value.Reveal())
	credentials, err := w.assume(ctx, form, nil, []countersign.Secret{token.Value})
	credentials.Source = "CountersignWebIdentity"
	return credentials, err
}

// sessionOf makes a session name of the subject of a JWT, which nothing has verified: the
// name is for people who read a log.
func sessionOf(token string) string {
	const fallback = "countersign"
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return fallback
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return fallback
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	if json.Unmarshal(payload, &claims) != nil {
		return fallback
	}
	name := []byte(claims.Subject)
	for i, c := range name {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte("_+=,.@-", c) < 0 {
			name[i] = '-'
		}
	}
	if name = name[:min(len(name), 64)]; len(name) < 2 {
		return fallback
	}
	return string(name)
}

// withCode makes a *countersign.Error of an error that is none: who implements a token
// source or AWS credentials need not know of them.
func withCode(err error, what string) error {
	var own *countersign.Error
	if errors.As(err, &own) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return countersign.WrapError(countersign.Unavailable, "", what, err)
}
