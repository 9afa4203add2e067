package broker

import (
	"container/list"
	"time"
)

// cache keeps entries by key, the most recently used first. Its user holds a lock.
type cache struct {
	max     int
	entries map[string]*list.Element
	order   *list.List
}

// entry is what is known for one key.
type entry struct {
	key         string
	credentials Credentials // zero = none yet
	// running is the one call for this key; nil = none.
	running *flight
	// retryAt: no renewal in the background before.
	retryAt time.Time
}

func newCache(limit int) cache {
	return cache{max: limit, entries: make(map[string]*list.Element), order: list.New()}
}

// get returns the entry of the key, a new one if there is none. Who is pushed out while a
// call runs for it is not lost for those who wait: they have the call.
func (c *cache) get(key string) *entry {
	if found, ok := c.entries[key]; ok {
		c.order.MoveToFront(found)
		e, _ := found.Value.(*entry)
		return e
	}
	for c.order.Len() >= c.max {
		oldest, _ := c.order.Remove(c.order.Back()).(*entry)
		delete(c.entries, oldest.key)
	}
	e := &entry{key: key}
	c.entries[key] = c.order.PushFront(e)
	return e
}
