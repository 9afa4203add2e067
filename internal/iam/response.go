package iam

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/countersign/countersign/internal/admin"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/web"
)

// answer is a successful answer. Nothing of it may be stored on its way.
type answer struct {
	status int
	// body is a JSON document; nil = none.
	body any
	// revision becomes the ETag; 0 = none.
	revision int64
	// location of what was made; "" = none.
	location string
}

func (a answer) write(w http.ResponseWriter) error {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	if a.revision != 0 {
		header.Set("ETag", `"`+strconv.FormatInt(a.revision, 10)+`"`)
	}
	if a.location != "" {
		header.Set("Location", a.location)
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return nil
	}
	body := a.body
	// The one place where a new secret is revealed: in the answer to the administrator who
	// made it.
	if credentials, ok := body.(interface{ RevealJSON() ([]byte, error) }); ok {
		revealed, err := credentials.RevealJSON()
		if err != nil {
			return fmt.Errorf("encode answer: %w", err)
		}
		body = json.RawMessage(revealed)
	}
	return web.WriteJSON(w, a.status, body)
}

// serviceDocument is what the API says of a service.
func serviceDocument(d admin.ServiceDetail, now time.Time) iamclient.Service {
	doc := iamclient.Service{
		Name: d.Name, UID: d.UID, Tenant: d.Tenant, Owner: d.Owner,
		// Never null: an empty list is written [].
		Scopes:        append([]string{}, d.Scopes...),
		Audiences:     append([]string{}, d.Audiences...),
		TokenLifetime: iamclient.Duration(d.TokenLifetime),
		Disabled:      d.Disabled, Revision: d.Revision,
		CreatedAt: d.CreatedAt, UpdatedAt: d.UpdatedAt,
		Secrets: make([]iamclient.ServiceSecret, 0, len(d.Secrets)),
	}
	for _, s := range d.Secrets {
		doc.Secrets = append(doc.Secrets, iamclient.ServiceSecret{
			ID: s.ID, CreatedAt: s.CreatedAt, ExpiresAt: s.ExpiresAt, LastUsedAt: s.LastUsedAt,
			Live: s.ExpiresAt.IsZero() || now.Before(s.ExpiresAt),
		})
	}
	return doc
}

func credentialsDocument(d admin.ServiceDetail, c admin.Credentials, now time.Time) iamclient.Credentials {
	doc := iamclient.Credentials{Service: serviceDocument(d, now), ClientID: c.ClientID, ClientSecret: c.ClientSecret}
	if !c.ExpiresAt.IsZero() {
		doc.ClientSecretExpiresAt = c.ExpiresAt.Unix()
	}
	return doc
}

// serviceAnswer answers with one service and its ETag.
func (a *API) serviceAnswer(d admin.ServiceDetail) answer {
	return answer{status: http.StatusOK, body: serviceDocument(d, a.now()), revision: d.Revision}
}
