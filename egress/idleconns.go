package egress

import (
	"slices"
	"sync"
	"time"
)

// idleConns keeps connections between two requests. Key: the address; lifetime: idleTimeout;
// bound: perAddress and maxIdleConns, what is over it is closed. The last one that was kept is
// the first one that is taken. Safe for concurrent use.
type idleConns struct {
	perAddress int

	mu    sync.Mutex
	kept  map[string][]*directConn
	count int
}

// idleTimeout is how long a connection is kept.
const idleTimeout = 30 * time.Second

// take returns a connection on which nothing came since its last answer, and which the server
// has not closed; nil = there is none. Bytes that nobody asked for are never an answer to what
// is asked next.
func (i *idleConns) take(address string) *directConn {
	for {
		c := i.last(address)
		if c == nil {
			return nil
		}
		c.timer.Stop()
		if isQuiet(c.raw) {
			return c
		}
		_ = c.Close()
	}
}

func (i *idleConns) last(address string) *directConn {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := i.kept[address]
	if len(list) == 0 {
		return nil
	}
	c := list[len(list)-1]
	i.remove(c, len(list)-1)
	return c
}

// remove is called with the lock held.
func (i *idleConns) remove(c *directConn, at int) {
	list := slices.Delete(i.kept[c.address], at, at+1)
	i.count--
	if i.kept[c.address] = list; len(list) == 0 {
		delete(i.kept, c.address)
	}
}

// put keeps a connection.
func (i *idleConns) put(c *directConn) {
	c.reused = true
	i.mu.Lock()
	defer i.mu.Unlock()
	list := i.kept[c.address]
	if len(list) >= i.perAddress || i.count >= maxIdleConns {
		_ = c.Close()
		return
	}
	if i.kept == nil {
		i.kept = make(map[string][]*directConn)
	}
	i.kept[c.address] = append(list, c)
	i.count++
	if c.timer == nil {
		c.timer = time.AfterFunc(idleTimeout, func() { i.expire(c) })
		return
	}
	c.timer.Reset(idleTimeout)
}

// expire ends a connection, unless it was taken meanwhile.
func (i *idleConns) expire(c *directConn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if at := slices.Index(i.kept[c.address], c); at >= 0 {
		i.remove(c, at)
		_ = c.Close()
	}
}

// close ends what is kept.
func (i *idleConns) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, list := range i.kept {
		for _, c := range list {
			c.timer.Stop()
			_ = c.Close()
		}
	}
	i.kept, i.count = nil, 0
}
