package admin

import (
	"cmp"
	"context"

	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// maxDeviceIssuers bounds what strangers are told; there are few such issuers.
const maxDeviceIssuers = 50

// DeviceLogin is an issuer whose users may log in from a command line (RFC 8628).
type DeviceLogin struct {
	Name, Issuer, ClientID string
	Scopes                 []string
	// Token is which one is shown to us: "access" or "id".
	Token string
}

// DeviceLogins returns the issuers whose users may log in from a command line, in order of
// name: the platform's or, where one is named, that one. A tenant's is told to nobody who does
// not ask for it: strangers would learn of tenants, and who has no issuer in mind would be sent
// to one that some tenant's administrator chose (RULES A6). What the user may do after that, the
// roles say that were assigned to them (RULES G2).
//
// Errors: countersign.Unavailable.
func (a *Admin) DeviceLogins(ctx context.Context, name string) (found []DeviceLogin, err error) {
	page := store.Page{Limit: store.MaxLimit}
	for {
		objects, err := a.store.Objects(ctx, resource.KindIssuer, page)
		if err != nil {
			return nil, describe(err)
		}
		for _, o := range objects {
			if name != "" && o.Name != name || name == "" && o.Tenant != "" {
				continue
			}
			d, err := resource.FromSpec(o.Kind, o.Name, o.Tenant, o.Spec)
			if err != nil || d.Issuer == nil || d.Issuer.DeviceLogin == nil {
				continue // what can't be read lets nobody in
			}
			login := d.Issuer.DeviceLogin
			found = append(found, DeviceLogin{
				Name: o.Name, Issuer: d.Issuer.URL, ClientID: login.ClientID, Scopes: login.Scopes, Token: cmp.Or(login.Token, "access"),
			})
			if len(found) == maxDeviceIssuers {
				return found, nil
			}
		}
		if len(objects) < store.MaxLimit {
			return found, nil
		}
		page.After = objects[len(objects)-1].Name
	}
}
