package s3dir

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/countersign/countersign/internal/s3api"
)

const (
	// chunkMax is how many names of a folder are held in memory at a time; deeper folders
	// hold fewer. A folder with more is read again for the next ones.
	chunkMax = 2048
	chunkMin = 64
	// readAtOnce is how many entries a read of a folder returns.
	readAtOnce = 512
)

// walker goes through the keys of the folder in their order, which is that of their bytes: a
// folder is where its name and "/" stand among the names of its files. Plain files and those
// in more are seen as one folder.
type walker struct {
	d      *Dir
	prefix string // of all keys
	marker string // only keys behind it
	levels []*level
}

// level is a folder that the walker is in.
type level struct {
	prefix string // of its keys: "" or ends in "/"
	names  []name // the next ones, in order
	// complete: there are none behind names.
	complete bool
	last     string // the last name that was taken out
	begun    bool   // there is a last one; it may be ""
}

// name is an entry of a folder.
type name struct {
	sort   string // for a folder with "/" at its end
	folder bool
	more   bool // it lies in moreFolder
}

// found is what the walker comes by: a key, or a folder, whose key ends in "/". Whoever wants
// what is in the folder enters it.
type found struct {
	key    string
	path   string // of a file
	folder bool
}

// walk starts at the folder that the prefix is in.
func (d *Dir) walk(prefix, marker string) (*walker, error) {
	w := &walker{d: d, prefix: prefix, marker: marker}
	folders, _ := splitKey(prefix)
	if folders != "" && !isPath(strings.TrimSuffix(folders, "/")) {
		return w, nil // no key looks so
	}
	return w, w.enter(folders)
}

// enter goes into a folder.
func (w *walker) enter(prefix string) error {
	l := &level{prefix: prefix}
	if err := w.fill(l); err != nil {
		return err
	}
	w.levels = append(w.levels, l)
	return nil
}

// next returns what comes next, and false at the end.
func (w *walker) next(ctx context.Context) (found, bool, error) {
	for len(w.levels) > 0 {
		if err := ctx.Err(); err != nil {
			return found{}, false, context.Cause(ctx)
		}
		l := w.levels[len(w.levels)-1]
		if len(l.names) == 0 {
			if l.complete {
				w.levels = w.levels[:len(w.levels)-1]
				continue
			}
			if err := w.fill(l); err != nil {
				return found{}, false, err
			}
			continue
		}
		n := l.names[0]
		l.names, l.last, l.begun = l.names[1:], n.sort, true
		f := found{key: l.prefix + n.sort, folder: n.folder}
		if f.path = f.key; n.more {
			f.path = morePath(f.key)
		}
		return f, true, nil
	}
	return found{}, false, nil
}

// fill reads the folder for the names behind the last one, and keeps the first of them.
func (w *walker) fill(l *level) error {
	filter, any := w.filter(l)
	if !any || strings.Count(l.prefix, "/") >= maxSegments {
		l.complete = true // nothing there is looked for, or has a key
		return nil
	}
	limit := max(w.d.chunk>>(len(w.levels)/2), min(chunkMin, w.d.chunk))
	c := chunk{limit: limit, names: l.names[:0:0], complete: true}
	err := w.d.entries(moreFolderOf(l.prefix), func(entry fs.DirEntry) {
		letter := moreObjectLetter
		if entry.IsDir() {
			letter = moreFolderLetter
		}
		if text, ok := strings.CutPrefix(entry.Name(), letter); ok {
			filter.offer(&c, entry, text, true)
		}
	})
	if err == nil && !isHidden(l.prefix) {
		path := strings.TrimSuffix(l.prefix, "/")
		if path == "" {
			path = "."
		}
		err = w.d.entries(path, func(entry fs.DirEntry) {
			if text := entry.Name(); text != Hidden {
				filter.offer(&c, entry, text, false)
			}
		})
	}
	if err != nil {
		return unusable("the folder of the bucket can't be read", err)
	}
	c.shrink()
	l.names, l.complete = c.names, c.complete
	return nil
}

// filter says which names of a folder can be, or lead to, keys that are looked for. A name
// must begin with prefix and be behind marker and last.
type filter struct {
	*level
	prefix, marker string
	before         bool // the marker is before the folder and all that is in it
	maxBytes       int
}

// filter cuts what is known of the keys down to names in the folder; false = none can be.
func (w *walker) filter(l *level) (filter, bool) {
	f := filter{level: l, maxBytes: s3api.MaxKeyBytes - len(l.prefix)}
	if len(w.prefix) > len(l.prefix) {
		f.prefix = w.prefix[len(l.prefix):] // the walker is in folders that lead to it only
	}
	if marker, ok := strings.CutPrefix(w.marker, l.prefix); ok {
		f.marker = marker
		return f, true
	}
	f.before = l.prefix > w.marker
	return f, f.before
}

// offer adds an entry to the chunk, if it is a name. It goes by the type that the folder has
// of it: to look at every file would take ten times as long, and whoever uses one looks. What
// is no file and no folder is none, and neither is what no key can be.
func (f *filter) offer(c *chunk, entry fs.DirEntry, text string, more bool) {
	n := name{sort: text, folder: entry.IsDir(), more: more}
	if n.folder {
		n.sort += "/"
	} else if !entry.Type().IsRegular() {
		return
	}
	// The name "" is the first of its folder, and its key is that of the folder: it is
	// behind the marker unless the marker is in the folder.
	behind := n.sort > f.marker || n.folder && strings.HasPrefix(f.marker, n.sort) || n.sort == "" && f.before
	if !behind || f.begun && n.sort <= f.last || len(n.sort) > f.maxBytes {
		return
	}
	if !strings.HasPrefix(n.sort, f.prefix) && (!n.folder || !strings.HasPrefix(f.prefix, n.sort)) {
		return
	}
	if c.bound != "" && n.sort > c.bound {
		c.complete = false
		return
	}
	if text == "" && more || isPath(text) {
		c.add(n)
	}
}

// chunk keeps the first names of all that it is given.
type chunk struct {
	limit    int
	names    []name
	bound    string // names from here on are too many; "" = none yet
	complete bool
}

func (c *chunk) add(n name) {
	c.names = append(c.names, n)
	if len(c.names) >= 2*c.limit {
		c.shrink()
	}
}

// shrink sorts and keeps no more than limit. Of the same name twice, the plain file is the
// visible one; it is added last.
func (c *chunk) shrink() {
	slices.SortStableFunc(c.names, func(a, b name) int { return strings.Compare(a.sort, b.sort) })
	kept := c.names[:0]
	for _, n := range c.names {
		if len(kept) > 0 && kept[len(kept)-1].sort == n.sort {
			kept[len(kept)-1] = n
			continue
		}
		kept = append(kept, n)
	}
	if len(kept) > c.limit {
		kept, c.complete = kept[:c.limit], false
		c.bound = kept[c.limit-1].sort
	}
	clear(c.names[len(kept):])
	c.names = kept
}

// entries calls each with the entries of a folder, in any order. A folder that is not there,
// or no folder, has none.
func (d *Dir) entries(path string, each func(fs.DirEntry)) error {
	if path != "." {
		if err := d.folder(path); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
	}
	opened, err := d.root.Open(path)
	if err != nil {
		if errors.Is(absent(err), fs.ErrNotExist) {
			return nil
		}
		return err
	}
	folder, err := withoutRoot(opened)
	if err != nil {
		return err
	}
	defer folder.Close() //nolint:errcheck // read only
	for {
		entries, err := folder.ReadDir(readAtOnce)
		for _, entry := range entries {
			each(entry)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// holds reports whether there is any key in the folder that the walker would come by.
func (w *walker) holds(ctx context.Context, folder string) (bool, error) {
	inner := &walker{d: w.d, prefix: w.prefix, marker: w.marker}
	if err := inner.enter(folder); err != nil {
		return false, err
	}
	for {
		f, ok, err := inner.next(ctx)
		if err != nil || !ok {
			return false, err
		}
		if !f.folder {
			return true, nil
		}
		if err := inner.enter(f.key); err != nil {
			return false, err
		}
	}
}
