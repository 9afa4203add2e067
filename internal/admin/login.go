package admin

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/audit"
	"github.com/countersign/countersign/internal/store"
)

const (
	// LoginCodeLife is how long a code waits for its use (RULES G2).
	LoginCodeLife = time.Hour
	// LoginLife is how long a login lasts. There is no way to make it longer.
	LoginLife = 12 * time.Hour

	loginCodeBytes = 16
	maxLoginLabel  = 64
)

// codeText is how people read a code: capitals and digits that can't be taken for each other.
var codeText = base32.NewEncoding("ABCDEFGHJKLMNPQRSTUVWXYZ23456789").WithPadding(base32.NoPadding)

// CreateLoginCode makes a code by which somebody at another machine becomes an administrator,
// once. Only the administrator on the server's own machine may: who came by such a code makes
// no other (RULES G2).
//
// Errors: countersign.Denied, Throttled, Unavailable.
func (a *Admin) CreateLoginCode(ctx context.Context, actor Actor) (code countersign.Secret, ends time.Time, err error) {
	c := &change{actor: actor, action: "login_code.create", detail: "good for one login"}
	if !strings.HasPrefix(actor.ID, "local:") || !actor.SuperAdmin {
		return code, ends, a.refused(ctx, c, countersign.NewError(countersign.Denied, countersign.ReasonNotAdministrator,
			"login codes are made on the server's own machine"))
	}
	var random [loginCodeBytes]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program instead
	hash := sha256.Sum256(random[:])
	now := a.clock()
	ends = now.Add(LoginCodeLife)
	err = a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		return tx.PutLoginCode(ctx, store.LoginCode{Hash: hash[:], CreatedBy: actor.ID, CreatedAt: now, ExpiresAt: ends})
	})
	if err != nil {
		return code, time.Time{}, err
	}
	text := codeText.EncodeToString(random[:])
	var groups []string
	for ; len(text) > 5; text = text[5:] {
		groups = append(groups, text[:5])
	}
	return countersign.NewSecret(strings.Join(append(groups, text), "-")), ends, nil
}

// parseLoginCode reads what somebody typed.
func parseLoginCode(code countersign.Secret) ([]byte, bool) {
	text := strings.ToUpper(strings.NewReplacer("-", "", " ", "").Replace(code.Reveal()))
	if len(text) != codeText.EncodedLen(loginCodeBytes) {
		return nil, false
	}
	raw, err := codeText.DecodeString(text)
	// Bits that are left over are zero: one code has one spelling.
	return raw, err == nil && codeText.EncodeToString(raw) == text
}

// Login trades a code for a login, whose key is public. From says where the request came from.
// A code that is unknown, used or over is refused in the same words.
//
// Errors: countersign.Invalid (the key or the label), BadToken (the code), Throttled, Unavailable.
func (a *Admin) Login(ctx context.Context, from Actor, code countersign.Secret, public []byte, label string) (store.Login, error) {
	if len(public) != ed25519.PublicKeySize {
		return store.Login{}, invalid(countersign.ReasonParameterInvalid, "public_key is an Ed25519 public key: 32 bytes in base64")
	}
	if len(label) > maxLoginLabel || !utf8.ValidString(label) || strings.ContainsFunc(label, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return store.Login{}, invalid(countersign.ReasonParameterInvalid, "label has at most 64 printable bytes")
	}
	if err := a.CheckLoginCode(ctx, from, code); err != nil {
		return store.Login{}, err
	}
	raw, _ := parseLoginCode(code)
	hash := sha256.Sum256(raw)
	now := a.clock()
	var id [12]byte
	_, _ = rand.Read(id[:])
	l := store.Login{
		ID: base64.RawURLEncoding.EncodeToString(id[:]), Public: public, Label: label, CreatedAt: now, ExpiresAt: now.Add(LoginLife),
	}
	from.ID, from.Proof = "login:"+l.ID, "login_code"
	err := a.audit.Transact(ctx, func(ctx context.Context, tx store.Tx) ([]audit.Event, error) {
		used, err := tx.UseLoginCode(ctx, hash[:], now)
		if err != nil {
			return nil, err
		}
		l.CreatedBy = used.CreatedBy
		c := &change{actor: from, action: "login", detail: "by a code of " + used.CreatedBy + ", until " + l.ExpiresAt.Format(time.RFC3339)}
		return []audit.Event{a.event(c, audit.Issued, countersign.ReasonOK)}, tx.CreateLogin(ctx, l)
	})
	switch {
	case errors.Is(err, countersign.NotFound):
		return store.Login{}, a.refuseLogin(ctx, from) // somebody else was faster
	case err != nil:
		return store.Login{}, describe(err)
	}
	return l, nil
}

// CheckLoginCode refuses who brings no code that is good now. Nothing else that they bring is
// worth a look, and who guesses must not get at the lock of those who change something.
//
// Errors: countersign.BadToken, Unavailable.
func (a *Admin) CheckLoginCode(ctx context.Context, from Actor, code countersign.Secret) error {
	raw, ok := parseLoginCode(code)
	if !ok {
		return a.refuseLogin(ctx, from)
	}
	hash := sha256.Sum256(raw)
	switch known, err := a.store.LoginCodeKnown(ctx, hash[:], a.clock()); {
	case err != nil:
		return describe(err)
	case !known:
		return a.refuseLogin(ctx, from)
	}
	return nil
}

// refuseLogin counts the refusal of somebody who proved nothing.
func (a *Admin) refuseLogin(ctx context.Context, from Actor) error {
	err := countersign.NewError(countersign.BadToken, countersign.ReasonLoginUnknown, "the code is not good: each is good for one login, for an hour")
	from.ID, from.Proof = "", "login_code"
	a.audit.RecordRefused(ctx, a.event(&change{actor: from, action: "login"}, audit.Refused, countersign.ReasonOf(err)))
	return err
}

// Logins returns the logins that are alive, the oldest first.
//
// Errors: countersign.Denied, Unavailable.
func (a *Admin) Logins(ctx context.Context, actor Actor) ([]store.Login, error) {
	if err := mayChange(actor); err != nil {
		return nil, err
	}
	list, err := a.store.Logins(ctx, a.clock())
	if err != nil {
		return nil, describe(err)
	}
	return list, nil
}

// EndLogin ends a login at once, everywhere.
//
// Errors: countersign.NotFound, Denied, Unavailable.
func (a *Admin) EndLogin(ctx context.Context, actor Actor, id string) error {
	c := &change{actor: actor, action: "logout"}
	if err := mayChange(actor); err != nil {
		return a.refused(ctx, c, err)
	}
	return a.run(ctx, c, func(ctx context.Context, tx store.Tx) error {
		c.detail = "login=" + id
		err := tx.DeleteLogin(ctx, id)
		if errors.Is(err, countersign.NotFound) {
			return countersign.WrapError(countersign.NotFound, countersign.ReasonObjectUnknown, "there is no such login", err)
		}
		return err
	})
}
