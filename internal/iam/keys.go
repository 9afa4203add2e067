package iam

import (
	"cmp"
	"net/http"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

func parseListKeys(r *http.Request) (struct{}, error) {
	_, err := query(r)
	return struct{}{}, err
}

// listKeys is GET /admin/keys.
//
// Source: RULES B6.
func (a *API) listKeys(*http.Request, admin.Actor, struct{}) (answer, error) {
	return answer{status: http.StatusOK, body: iamclient.KeyList{Items: a.keyDocuments(a.admin.SigningKeys())}}, nil
}

func parseRotateKeys(r *http.Request) (iamclient.RotateKeys, error) {
	var in iamclient.RotateKeys
	if err := document(r, &in); err != nil {
		return in, err
	}
	if in.Purpose != "" && in.Compromised != "" {
		return in, invalid(countersign.ReasonParameterInvalid, "say a purpose or a compromised key, not both")
	}
	return in, nil
}

// rotateKeys is POST /admin/keys/rotate: a new key in good order, or at once in the place
// of one that is compromised.
//
// Source: RULES B6.
func (a *API) rotateKeys(r *http.Request, actor admin.Actor, in iamclient.RotateKeys) (answer, error) {
	var made []store.SigningKey
	var err error
	if in.Compromised != "" {
		made, err = a.admin.CompromiseKey(r.Context(), actor, in.Compromised)
	} else {
		made, err = a.admin.RotateKeys(r.Context(), actor, cmp.Or(in.Purpose, string(keys.Token)))
	}
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: iamclient.RotatedKeys{Created: a.keyDocuments(made)}}, nil
}

func parseRewrapKeys(r *http.Request) (struct{}, error) {
	var in struct{}
	return in, document(r, &in)
}

// rewrapKeys is POST /admin/keys/rewrap.
//
// Source: RULES B8.
func (a *API) rewrapKeys(r *http.Request, actor admin.Actor, _ struct{}) (answer, error) {
	count, err := a.admin.RewrapKeys(r.Context(), actor)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: iamclient.RewrappedKeys{Count: count}}, nil
}

func (a *API) keyDocuments(list []store.SigningKey) []iamclient.Key {
	now := a.now()
	documents := make([]iamclient.Key, 0, len(list))
	for _, k := range list {
		documents = append(documents, iamclient.Key{
			KID: k.KID, Purpose: k.Purpose, Algorithm: k.Algorithm, State: keyState(k, now), CreatedAt: k.CreatedAt,
			PublishAt: k.PublishAt, UseFrom: k.UseFrom, UseUntil: k.UseUntil, KeepUntil: k.KeepUntil,
		})
	}
	return documents
}

func keyState(k store.SigningKey, now time.Time) string {
	over := func(at time.Time) bool { return !at.IsZero() && !now.Before(at) }
	switch {
	case over(k.KeepUntil):
		return iamclient.KeyEnded
	case over(k.UseUntil):
		return iamclient.KeyRetired
	case now.Before(k.UseFrom):
		return iamclient.KeyNext
	}
	return iamclient.KeyActive
}
