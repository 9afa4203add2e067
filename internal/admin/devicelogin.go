package admin

import (
	"cmp"
	"context"
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
// They are held in memory until one changes, since strangers ask.
//
// Errors: countersign.Unavailable.
func (a *Admin) DeviceLogins(ctx context.Context, name string) (found []DeviceLogin, err error) {
	known, err := a.registry.DeviceLogins(ctx)
	if err != nil {
		return nil, describe(err)
	}
	for _, d := range known {
		if name != "" && d.Name != name || name == "" && d.Tenant != "" {
			continue
		}
		found = append(found, DeviceLogin{Name: d.Name, Issuer: d.URL, ClientID: d.ClientID, Scopes: d.Scopes, Token: cmp.Or(d.Token, "access")})
		if len(found) == maxDeviceIssuers {
			break
		}
	}
	return found, nil
}
