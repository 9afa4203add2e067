package oauth

// HoldFollowers takes all places of those who wait for the feed.
func (h *Handler) HoldFollowers() {
	for range cap(h.followers) {
		h.followers <- struct{}{}
	}
}
