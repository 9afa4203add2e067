package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
)

// maxSteps bounds what one look at a schedule may do, beside one step for each key that
// is there; three is the most that is needed.
const maxSteps = 8

// Due reports whether the schedule asks for something: call [Ring.MaintainIn] then.
func (r *Ring) Due() bool { return r.due(false) }

func (r *Ring) due(opening bool) bool {
	state, now := r.state.Load(), r.clock()
	for _, p := range purposes {
		if rests(p, opening) {
			continue
		}
		rows := make([]store.SigningKey, 0, len(state.pairs[p]))
		for _, pair := range state.pairs[p] {
			rows = append(rows, pair.row)
		}
		if r.schedule(p, opening).next(rows, now) != nil {
			return true
		}
	}
	return false
}

// MaintainIn makes the keys that the schedule asks for, and gives ends to others. It runs
// alone among all processes, so each key is made once. Call Reload after the commit.
//
// Errors: countersign.Invalid (another process has replaced the master key), Unavailable,
// Internal.
func (r *Ring) MaintainIn(ctx context.Context, tx store.Tx) (created []store.SigningKey, err error) {
	return r.maintainIn(ctx, tx, false)
}

func (r *Ring) maintainIn(ctx context.Context, tx store.Tx, opening bool) (created []store.SigningKey, err error) {
	if err := tx.Serialize(ctx); err != nil {
		return nil, fmt.Errorf("maintain keys: %w", err)
	}
	for _, p := range purposes {
		if rests(p, opening) {
			continue
		}
		rows, err := tx.SigningKeys(ctx, string(p))
		if err != nil {
			return nil, fmt.Errorf("read %s keys: %w", p, err)
		}
		made, err := r.follow(ctx, tx, r.schedule(p, opening), rows)
		if err != nil {
			return nil, err
		}
		created = append(created, made...)
	}
	return created, nil
}

// follow takes steps until the schedule of a purpose asks for none.
func (r *Ring) follow(ctx context.Context, tx store.Tx, plan schedule, rows []store.SigningKey) (created []store.SigningKey, err error) {
	now := r.clock()
	for range maxSteps + len(rows) {
		step := plan.next(rows, now)
		if step == nil {
			return created, nil
		}
		if rows, err = r.write(ctx, tx, rows, step, &created); err != nil {
			return nil, err
		}
	}
	return nil, countersign.NewError(countersign.Internal, "", "the schedule of the keys does not settle")
}

// write stores one step and returns the rows with it.
func (r *Ring) write(ctx context.Context, tx store.Tx, rows []store.SigningKey, step *store.SigningKey, created *[]store.SigningKey) ([]store.SigningKey, error) {
	if step.KID != "" {
		if err := tx.ScheduleSigningKey(ctx, step.KID, step.UseUntil, step.KeepUntil); err != nil {
			return nil, fmt.Errorf("schedule a key: %w", err)
		}
		i := slices.IndexFunc(rows, func(row store.SigningKey) bool { return row.KID == step.KID })
		rows[i] = *step
		return rows, nil
	}
	if err := r.cfg.checkMasterIn(ctx); err != nil {
		return nil, err
	}
	row, err := makeKeyPair(r.cfg, *step)
	if err != nil {
		return nil, fmt.Errorf("make %s key: %w", step.Purpose, err)
	}
	if err := tx.CreateSigningKey(ctx, row); err != nil {
		return nil, fmt.Errorf("store a key: %w", err)
	}
	rows = append(rows, row)
	row.Sealed = nil
	*created = append(*created, row)
	return rows, nil
}

// RotateIn lets a new key take over as soon as it was there for PublishLead. The
// waiting successor, which was made for a later time, is dropped. One that takes over until
// then anyway is what was asked for: nothing is made. Call Reload after the commit.
//
// Errors: countersign.Invalid (no such purpose, another process has replaced the master
// key), Unavailable, Internal.
func (r *Ring) RotateIn(ctx context.Context, tx store.Tx, p Purpose) (created []store.SigningKey, err error) {
	rows, err := r.rowsIn(ctx, tx, p)
	if err != nil {
		return nil, err
	}
	if p == Broker {
		r.brokering.Store(true) // somebody wants one
	}
	now, plan := r.clock(), r.schedule(p, false)
	begin := now.Add(plan.lead)
	if slices.ContainsFunc(rows, func(row store.SigningKey) bool {
		return row.UseFrom.After(now) && !row.UseFrom.After(begin) && !ended(row, now)
	}) {
		return r.take(ctx, tx, p, rows, nil)
	}
	steps := []*store.SigningKey{plan.fresh(now, begin, begin.Add(plan.period))}
	for _, row := range rows {
		switch {
		case ended(row, now):
		case row.UseFrom.After(now):
			steps = append(steps, plan.end(row, now))
		case row.UseUntil.IsZero() || row.UseUntil.After(begin):
			steps = append(steps, plan.until(row, begin))
		}
	}
	return r.take(ctx, tx, p, rows, steps)
}

// CompromiseIn drops a key at once: it signs nothing any more and leaves its key set. A
// key of the audit log stays known, for what it signed before. Who else is needed to sign
// is made. Call Reload after the commit, and revoke what it signed.
//
// Errors: countersign.NotFound, Invalid (another process has replaced the master key),
// Unavailable, Internal.
func (r *Ring) CompromiseIn(ctx context.Context, tx store.Tx, kid string) (dropped store.SigningKey, created []store.SigningKey, err error) {
	for _, p := range purposes {
		rows, err := r.rowsIn(ctx, tx, p)
		if err != nil {
			return dropped, nil, err
		}
		i := slices.IndexFunc(rows, func(row store.SigningKey) bool { return row.KID == kid })
		if i < 0 {
			continue
		}
		if p == Broker {
			r.brokering.Store(true) // what was used is needed again
		}
		now := r.clock()
		dropped = rows[i]
		if dropped.UseUntil.IsZero() || dropped.UseUntil.After(now) {
			dropped.UseUntil = now
		}
		if p != Audit && (dropped.KeepUntil.IsZero() || dropped.KeepUntil.After(now)) {
			dropped.KeepUntil = now
		}
		created, err = r.take(ctx, tx, p, rows, []*store.SigningKey{&dropped})
		dropped.Sealed = nil
		return dropped, created, err
	}
	return dropped, nil, countersign.NewError(countersign.NotFound, countersign.ReasonObjectUnknown, "there is no such key")
}

func (r *Ring) rowsIn(ctx context.Context, tx store.Tx, p Purpose) ([]store.SigningKey, error) {
	if !slices.Contains(purposes, p) {
		return nil, countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, "there are no keys of that purpose")
	}
	if err := tx.Serialize(ctx); err != nil {
		return nil, fmt.Errorf("change keys: %w", err)
	}
	rows, err := tx.SigningKeys(ctx, string(p))
	if err != nil {
		return nil, fmt.Errorf("read %s keys: %w", p, err)
	}
	return rows, nil
}

// take stores the steps, and then what the schedule asks for.
func (r *Ring) take(ctx context.Context, tx store.Tx, p Purpose, rows []store.SigningKey, steps []*store.SigningKey) (created []store.SigningKey, err error) {
	for _, step := range steps {
		if rows, err = r.write(ctx, tx, rows, step, &created); err != nil {
			return nil, err
		}
	}
	made, err := r.follow(ctx, tx, r.schedule(p, false), rows)
	return append(created, made...), err
}

// clock is the time as the store keeps it.
func (r *Ring) clock() time.Time { return r.now().UTC().Truncate(time.Microsecond) }

// KnownPurpose returns the purpose of that name.
//
// Errors: countersign.Invalid.
func KnownPurpose(name string) (Purpose, error) {
	if p := Purpose(name); slices.Contains(purposes, p) {
		return p, nil
	}
	return "", countersign.WrapError(countersign.Invalid, countersign.ReasonParameterInvalid, "there are no keys of that purpose", errors.New("unknown purpose"))
}
