package cli

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign"
)

// maxLogin bounds the file of a login, in bytes.
const maxLogin = 64 << 10

// storedLogin is what is kept of a login to a context: in the user's config folder, in
// countersign/logins/CONTEXT.json, for the user alone. By a code it holds a private key that
// never went anywhere; by the user's own issuer the tokens that this gave to its user.
type storedLogin struct {
	// Server is the URL that was logged in to. What is kept is shown to no other.
	Server string `json:"server"`
	// Issuer is what proofs are for, ID the login's name.
	Issuer    string    `json:"issuer,omitempty"`
	ID        string    `json:"id,omitempty"`
	Seed      []byte    `json:"private_key,omitempty"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// User is a user's login at their own issuer instead.
	User *upstream `json:"user,omitempty"`
}

// key is the private key.
func (l storedLogin) key() (ed25519.PrivateKey, bool) {
	if len(l.Seed) != ed25519.SeedSize || l.ID == "" || l.Issuer == "" {
		return nil, false
	}
	return ed25519.NewKeyFromSeed(l.Seed), true
}

// loginPath is where the login of a context is kept; "" = there is no config folder.
func loginPath(p *Process, context string) string {
	contexts := contextPath(p)
	if contexts == "" {
		return ""
	}
	return filepath.Join(filepath.Dir(contexts), "logins", context+".json")
}

// readLogin returns the login of a context.
//
// Errors: countersign.NotFound, Denied (others can read it, or wrote it), Invalid, Unavailable.
func readLogin(p *Process, context string) (l storedLogin, err error) {
	path := loginPath(p, context)
	if path == "" {
		return l, notLoggedIn(context)
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return l, notLoggedIn(context)
	} else if err != nil {
		return l, countersign.WrapError(countersign.Unavailable, "", path+" can't be read", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || !ownAlone(info) || info.Mode().Perm()&0o077 != 0 {
		return l, countersign.WrapError(countersign.Denied, "", path+" is not a file of yours alone: log in again", err)
	}
	body, err := io.ReadAll(io.LimitReader(file, maxLogin))
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(body))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(&l)
	}
	if err != nil || l.Server == "" {
		return storedLogin{}, countersign.WrapError(countersign.Invalid, "", path+" is broken: log in again", err)
	}
	return l, nil
}

// writeLogin replaces the login of a context at once.
//
// Errors: countersign.Unavailable.
func writeLogin(p *Process, context string, l storedLogin) (err error) {
	path := loginPath(p, context)
	if path == "" {
		return countersign.NewError(countersign.Unavailable, "", "there is no config folder: set HOME or XDG_CONFIG_HOME")
	}
	defer func() {
		if err != nil {
			err = countersign.WrapError(countersign.Unavailable, "", path+" can't be written", err)
		}
	}()
	body, err := json.MarshalIndent(l, "", "  ") //nolint:gosec // G117: the key is kept for its owner alone, and goes nowhere
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".login-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.Write(append(body, '\n'))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// loginTo returns the login for a server: that of the context, or where none is named that of
// a context which is this server.
//
// Errors: as readLogin.
func loginTo(p *Process, context, server string) (string, storedLogin, error) {
	names := []string{context}
	if context == "" {
		contexts, err := readContexts(p)
		if err != nil {
			return "", storedLogin{}, err
		}
		names = slices.Sorted(maps.Keys(contexts.Contexts))
	}
	for _, name := range names {
		l, err := readLogin(p, name)
		switch {
		case errors.Is(err, countersign.NotFound):
			continue
		case err != nil:
			return "", storedLogin{}, err
		case sameServer(l.Server, server):
			return name, l, nil
		case context != "":
			return "", storedLogin{}, countersign.NewError(countersign.Denied, "",
				fmt.Sprintf("the login of context %q is for %s, and the context is another server now: log in again", printable(name), printable(l.Server)))
		}
	}
	return "", storedLogin{}, notLoggedIn(server)
}

func sameServer(a, b string) bool { return strings.TrimRight(a, "/") == strings.TrimRight(b, "/") }

// notLoggedIn is about a context or a server.
func notLoggedIn(where string) error {
	return countersign.NewError(countersign.NotFound, countersign.ReasonLoginUnknown, "you are not logged in to "+printable(where)+
		": run countersign login, or act as a service by COUNTERSIGN_CLIENT_ID, or give a user's token by COUNTERSIGN_TOKEN")
}
