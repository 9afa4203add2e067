package registry

import (
	"context"
	"errors"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
)

// receiver is whose the service is that an audience names; absent = there is none.
type receiver struct {
	absent     bool
	tenant     string
	sharedWith []string
}

// MayReach reports whether a client may have a token for an audience that it was granted
// (RULES A6): what names a service of another tenant only as long as that lists the client's
// tenant in shared_with; the platform's are there for everybody whom they were granted to. So a name that is deleted and made by another
// tenant is not what was granted (RULES A5). What names no service of ours is nobody's, and
// stays what it was when it was granted.
//
// What is held, also that there is no such service, is asked of no database until it changes.
//
// Errors: countersign.Unavailable.
func (r *Registry) MayReach(ctx context.Context, client *Service, audience string) (bool, error) {
	if client.Tenant == "" || audience == client.Name || policy.Reserved(audience) || !countersign.ValidName(audience) {
		return true, nil
	}
	if r.stale() {
		return false, errStale
	}
	shard, hash := r.shard(audience)
	if held := shard.service(hash, audience); held != nil {
		return held.Tenant == "" || mayRefer(client.Tenant, held.Tenant, held.SharedWith), nil
	}
	named, err := view(ctx, r, &r.receivers, audience, errUnknown, r.readReceiver)
	if err != nil {
		return false, err
	}
	return named.absent || named.tenant == "" || mayRefer(client.Tenant, named.tenant, named.sharedWith), nil
}

func (r *Registry) readReceiver(ctx context.Context, name string) (*receiver, error) {
	shard, hash := r.shard(name)
	s, err := r.missed(ctx, shard, hash, name)
	if errors.Is(err, countersign.NotFound) {
		return &receiver{absent: true}, nil
	}
	if err != nil {
		return nil, err
	}
	return &receiver{tenant: s.Tenant, sharedWith: s.SharedWith}, nil
}
