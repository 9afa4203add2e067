package registry

import (
	"strings"
	"sync"
	"time"
	"unique"

	"github.com/countersign/countersign/internal/store"
)

// maxLists bounds the lists that services share; then it begins anew.
const maxLists = 10_000

// interner lets services with the same scopes or audiences share one list: most of a
// million have one of a few. Key: the list's words.
type interner struct {
	mu    sync.Mutex
	known map[string][]string
}

// list returns a list with the words of this one, which nobody may change.
func (n *interner) list(words []string) []string {
	if len(words) == 0 {
		return nil
	}
	key := strings.Join(words, "\x00")
	n.mu.Lock()
	defer n.mu.Unlock()
	if known, ok := n.known[key]; ok {
		return known
	}
	if n.known == nil || len(n.known) >= maxLists {
		n.known = make(map[string][]string)
	}
	fresh := make([]string, len(words))
	for i, word := range words {
		fresh[i] = shared(word)
	}
	n.known[key] = fresh
	return fresh
}

// shared returns the one copy of a word that many have.
func shared(word string) string { return unique.Make(word).Value() }

// compile makes the view of a service. It is small, because there may be a million: what
// is its own is one piece of text, what others have too is shared.
func (n *interner) compile(row store.Service, secrets []store.ClientSecret, now time.Time) *entry {
	live := make([]store.ClientSecret, 0, 2)
	size := len(row.UID) + len(row.Name)
	for _, secret := range secrets {
		// A hash of another size opens nothing.
		if ended := !secret.ExpiresAt.IsZero() && !secret.ExpiresAt.After(now); ended || len(secret.Hash) != len(Secret{}.Hash) {
			continue
		}
		live = append(live, secret)
		size += len(secret.ID)
	}
	var text strings.Builder
	text.Grow(size)
	own := func(s string) string {
		from := text.Len()
		text.WriteString(s)
		return text.String()[from:]
	}
	made := &entry{view: Service{Service: row}}
	service := &made.view
	service.UID, service.Name = own(row.UID), own(row.Name)
	service.Tenant, service.Owner = shared(row.Tenant), shared(row.Owner)
	service.Scopes, service.Audiences = n.list(row.Scopes), n.list(row.Audiences)
	switch {
	case len(live) == 1:
		service.Secrets = made.one[:]
	case len(live) > 1:
		service.Secrets = make([]Secret, len(live))
	}
	for i, secret := range live {
		service.Secrets[i] = Secret{ID: own(secret.ID), Hash: [32]byte(secret.Hash), ExpiresAt: secret.ExpiresAt}
	}
	return made
}
