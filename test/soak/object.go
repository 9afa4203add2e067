package main

import (
	"bytes"
	"math/rand/v2"
	"slices"
)

// made is a content that can be made again.
type made struct {
	seed [32]byte
	size int
}

func (m made) bytes() []byte {
	content := make([]byte, m.size)
	_, _ = rand.NewChaCha8(m.seed).Read(content)
	return content
}

// newContent makes an object's bytes: mostly a few, sometimes many.
func newContent(random *rand.Rand) made {
	switch n := random.IntN(100); {
	case n < 70:
		return contentOf(random, random.IntN(8<<10))
	case n < 98:
		return contentOf(random, random.IntN(128<<10))
	default:
		return contentOf(random, random.IntN(2<<20))
	}
}

func contentOf(random *rand.Rand, size int) made {
	m := made{size: size}
	for i := range m.seed {
		m.seed[i] = byte(random.Uint32() & 0xff)
	}
	return m
}

// object is what a key may hold: more than one content, or also nothing, where a write broke
// off with the origin and nobody knows how far it came.
type object struct {
	contents []made
	absent   bool
}

// or adds what it may be as well.
func (o object) or(other object) object {
	both := object{contents: slices.Clone(o.contents), absent: o.absent || other.absent}
	for _, m := range other.contents {
		if !slices.Contains(both.contents, m) {
			both.contents = append(both.contents, m)
		}
	}
	return both
}

// may reports whether it can be a content.
func (o object) may(content []byte) bool {
	return slices.ContainsFunc(o.contents, func(m made) bool { return m.size == len(content) && bytes.Equal(m.bytes(), content) })
}

// mayRange reports whether content can be its bytes from first on.
func (o object) mayRange(first int, content []byte) bool {
	return slices.ContainsFunc(o.contents, func(m made) bool {
		return m.size >= first+len(content) && bytes.Equal(m.bytes()[first:first+len(content)], content)
	})
}

// sure returns its one content.
func (o object) sure() (made, bool) {
	if len(o.contents) != 1 || o.absent {
		return made{}, false
	}
	return o.contents[0], true
}
