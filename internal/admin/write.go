package admin

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/store"
)

// write carries the plan out.
func (p *plan) write(ctx context.Context, tx store.Tx, c *change) error {
	now := p.admin.clock()
	for i := range p.steps {
		s := &p.steps[i]
		if s.told.Action == ApplyUnchanged {
			continue
		}
		var detail string
		var err error
		if s.told.Kind == resource.KindService {
			c.names = append(c.names, s.told.Name)
			detail, err = p.writeService(ctx, tx, c, s, now)
		} else {
			c.objects = append(c.objects, [2]string{s.told.Kind, s.told.Name})
			detail, err = writeObject(ctx, tx, s, now)
		}
		if errors.Is(err, countersign.Conflict) && countersign.ReasonOf(err) != countersign.ReasonInUse {
			return countersign.WrapError(countersign.Conflict, countersign.ReasonRevisionMismatch,
				"an object was changed meanwhile: apply again", err)
		}
		if err != nil {
			return fmt.Errorf("apply %s %s: %w", s.told.Kind, s.told.Name, err)
		}
		detail += fmt.Sprintf(" revision=%d", s.told.Revision)
		if s.told.Action == ApplyChanged {
			detail += changedFields(s.told.Before, s.told.After)
		}
		if s.told.Owner != "" {
			detail += " owner=" + s.told.Owner
		}
		detail += overrides(s.told.Warnings)
		c.events = append(c.events, p.admin.objectEvent(c, s.told.Kind, s.told.Name, s.told.Action, detail))
	}
	return nil
}

// writeService never touches whether the service is disabled (RULES A9).
func (p *plan) writeService(ctx context.Context, tx store.Tx, c *change, s *step, now time.Time) (detail string, err error) {
	if s.document == nil {
		if err := p.admin.revokeService(ctx, tx, c, *s.old.service); err != nil {
			return "", err
		}
		return "uid=" + s.old.uid, tx.DeleteService(ctx, s.old.uid)
	}
	row := store.Service{UID: randomID(16), Name: s.document.Name, CreatedAt: now}
	if s.old != nil {
		row = *s.old.service
	}
	spec := s.document.Service
	row.Tenant, row.Owner = s.document.Tenant, p.request.Owner
	row.Scopes, row.Audiences = sortedDistinct(spec.Scopes), sortedDistinct(spec.Audiences)
	row.TokenLifetime = time.Duration(spec.TokenLifetime)
	row.JWKS, row.JWKSURI, row.TokensPerMinute = spec.JWKS, spec.JWKSURI, spec.Quota.TokensPerMinute
	row.SharedWith = spec.SharedWith
	if row.Trust, err = resource.EncodeTrust(spec.Trust); err != nil {
		return "", err
	}
	row.Revision, row.UpdatedAt = s.told.Revision, now
	if s.old == nil {
		return describeGrant(row), tx.CreateService(ctx, row)
	}
	if takesAway(*s.old.service, row) || distrusts(s.old.document.Service, spec) {
		if err := p.admin.revokeService(ctx, tx, c, row); err != nil {
			return "", err
		}
	}
	return describeGrant(row), tx.UpdateService(ctx, row)
}

// takesAway reports whether tokens that are out may say more than the service has now.
func takesAway(before, after store.Service) bool {
	lost := func(old, left []string) bool {
		return slices.ContainsFunc(old, func(one string) bool { return !slices.Contains(left, one) })
	}
	return lost(before.Scopes, after.Scopes) || lost(before.Audiences, after.Audiences)
}

// distrusts reports whether a proof is not taken any more that tokens may have been issued
// for (RULES A5).
func distrusts(before, after *resource.Service) bool {
	return slices.ContainsFunc(before.Trust, func(old resource.TrustStatement) bool {
		return !slices.ContainsFunc(after.Trust, func(left resource.TrustStatement) bool { return reflect.DeepEqual(old, left) })
	})
}

func writeObject(ctx context.Context, tx store.Tx, s *step, now time.Time) (detail string, err error) {
	if s.document == nil {
		if err := nothingLeft(ctx, tx, s.old); err != nil {
			return "", err
		}
		return "uid=" + s.old.uid, tx.DeleteObject(ctx, s.old.uid)
	}
	row := store.Object{UID: randomID(16), Kind: s.document.Kind, Name: s.document.Name, CreatedAt: now}
	if s.old != nil {
		row = *s.old.object
	}
	row.Tenant, row.Owner = s.told.Tenant, s.told.Owner
	row.Revision, row.UpdatedAt = s.told.Revision, now
	if row.Spec, err = s.document.Spec(); err != nil {
		return "", err
	}
	detail = "uid=" + row.UID
	if row.Tenant != "" {
		detail += " tenant=" + row.Tenant
	}
	if s.old == nil {
		return detail, tx.CreateObject(ctx, row)
	}
	return detail, tx.UpdateObject(ctx, row)
}

// changedFields tells which fields differ between two canonical documents, without what is
// in them: " changed=jwks,quota"; "" = only the owner does.
func changedFields(before, after []byte) string {
	old, left := topFields(before), topFields(after)
	var changed []string
	for name, text := range left {
		if old[name] != text {
			changed = append(changed, name)
		}
	}
	for name := range old {
		if _, ok := left[name]; !ok {
			changed = append(changed, name)
		}
	}
	if len(changed) == 0 {
		return ""
	}
	slices.Sort(changed)
	return " changed=" + strings.Join(changed, ",")
}

// topFields cuts a canonical document into its fields: what is within one is indented.
func topFields(document []byte) map[string]string {
	fields := make(map[string]string)
	name := ""
	for line := range strings.Lines(string(document)) {
		if !strings.HasPrefix(line, " ") {
			name, _, _ = strings.Cut(line, ":")
		}
		fields[name] += line
	}
	return fields
}
