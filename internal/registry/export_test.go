package registry

// Cached reports whether the service is held, without asking for it.
func (r *Registry) Cached(name string) bool {
	s := r.shard(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.entries[name] != nil
}

// Held returns how many revocations and unknown names are in memory.
func (r *Registry) Held() (revocations, unknown int) {
	for i := range r.shards {
		r.shards[i].mu.RLock()
		unknown += len(r.shards[i].unknown.young) + len(r.shards[i].unknown.old)
		r.shards[i].mu.RUnlock()
	}
	r.revocations.mu.RLock()
	defer r.revocations.mu.RUnlock()
	return int(r.revocations.tokens.held.Load()) + len(r.revocations.held), unknown
}
