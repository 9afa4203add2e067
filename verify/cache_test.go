package verify

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestCacheForgetsTheLeastRecentlyUsed(t *testing.T) {
	t.Parallel()
	c := newCache(3)
	put := func(name string) { c.put(&entry{id: keyOf(name), kid: name}) }
	has := func(name string) bool { e := c.get(keyOf(name)); return e != nil && e.kid == name }
	for _, name := range []string{"a", "b", "c"} {
		put(name)
	}
	if !has("a") { // and now b is the oldest
		t.Error("a is gone")
	}
	put("d")
	if has("b") || !has("a") || !has("c") || !has("d") || c.len() != 3 {
		t.Errorf("after d: len %d, b %v", c.len(), has("b"))
	}
	put("d") // twice is once
	if c.len() != 3 {
		t.Errorf("len = %d", c.len())
	}
	e := c.get(keyOf("a"))
	put("a")
	c.remove(e) // another entry has taken its place
	if !has("a") {
		t.Error("remove took a newer entry out")
	}
	c.remove(c.get(keyOf("a")))
	if has("a") || c.len() != 2 {
		t.Errorf("after remove: len %d", c.len())
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{1, 7, 1023, 1024, 5000} {
		c := newCache(limit)
		for i := range 3 * limit {
			c.put(&entry{id: keyOf(fmt.Sprint(i))})
		}
		if n := c.len(); n > limit || n < limit/2 {
			t.Errorf("limit %d: %d entries", limit, n)
		}
	}
}

func TestCacheKeysDiffer(t *testing.T) {
	t.Parallel()
	seen := make(map[cacheKey]string)
	for _, token := range []string{"", "a", "a\x00", "\x00a", strings.Repeat("a", maxTokenBytes), strings.Repeat("a", maxTokenBytes-1)} {
		id := keyOf(token)
		if other, twice := seen[id]; twice {
			t.Errorf("%q and %q share a key", token, other)
		}
		seen[id] = token
		if keyOf(token) != id {
			t.Errorf("the key of %q changes", token)
		}
	}
}

func TestCacheConcurrently(t *testing.T) {
	t.Parallel()
	c := newCache(8)
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				id := keyOf(fmt.Sprint((i * worker) % 20))
				if e := c.get(id); e != nil && i%5 == 0 {
					c.remove(e)
				} else if e == nil {
					c.put(&entry{id: id})
				}
			}
		})
	}
	wg.Wait()
	if c.len() > 8 {
		t.Errorf("len = %d", c.len())
	}
}
