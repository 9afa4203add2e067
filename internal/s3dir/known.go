package s3dir

import (
	"sync"

	"github.com/countersign/countersign/internal/s3api"
)

// known remembers what was computed for versions of files, so that a list doesn't read a
// record for each object, nor every file that was put there by hand.
type known struct {
	mu      sync.Mutex
	max     int
	entries map[knownKey]knownValue
}

// knownMax bounds known; an entry has about 200 bytes.
const knownMax = 32_768

type knownKey struct {
	key     string
	inode   uint64
	version version
}

// knownValue is what a list tells of an object.
type knownValue struct {
	etag, class string
	algorithm   s3api.Checksum
	sumType     string
}

func newKnown(limit int) *known {
	return &known{max: limit, entries: make(map[knownKey]knownValue)}
}

func (k *known) get(key knownKey) (knownValue, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	value, ok := k.entries[key]
	return value, ok
}

// put drops any one entry when there are too many: which one matters little, and a random
// one is harder to aim at.
func (k *known) put(key knownKey, value knownValue) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.entries) >= k.max {
		for other := range k.entries {
			delete(k.entries, other)
			break
		}
	}
	k.entries[key] = value
}
