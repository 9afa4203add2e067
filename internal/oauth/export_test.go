package oauth

// HoldFollowers takes all places of those who wait for the feed.
func (h *Handler) HoldFollowers() {
	for range cap(h.followers) {
		h.followers <- struct{}{}
	}
}

// Followers is how many wait for the feed.
func (h *Handler) Followers() int { return len(h.followers) }
