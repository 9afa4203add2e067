package s3dir

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
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
	sort string // for a folder with "/" at its end
	path string
	info fs.FileInfo // nil for a folder
}

func (n name) isFolder() bool { return n.info == nil }

// found is what the walker comes by: a key, or a folder, whose key ends in "/". Whoever wants
// what is in the folder enters it.
type found struct {
	key string
	name
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
		return found{l.prefix + n.sort, n}, true, nil
	}
	return found{}, false, nil
}

// wants says whether a name of the folder can be, or lead to, a key that is looked for.
func (w *walker) wants(l *level, sort string, folder bool) bool {
	key := l.prefix + sort
	if len(key) > maxKeyBytes {
		return false
	}
	if !strings.HasPrefix(key, w.prefix) && (!folder || !strings.HasPrefix(w.prefix, key)) {
		return false
	}
	return key > w.marker || folder && strings.HasPrefix(w.marker, key)
}

// fill reads the folder for the names behind the last one, and keeps the first of them.
func (w *walker) fill(l *level) error {
	if strings.Count(l.prefix, "/") >= maxSegments {
		l.complete = true // nothing there has a key
		return nil
	}
	limit := max(w.d.chunk>>(len(w.levels)/2), min(chunkMin, w.d.chunk))
	c := chunk{limit: limit, names: l.names[:0:0], complete: true}
	plain := strings.TrimSuffix(l.prefix, "/")
	if plain == "" {
		plain = "."
	}
	first, _, _ := strings.Cut(l.prefix, "/")
	folders := []source{{path: moreFolderOf(l.prefix), decode: moreName}}
	if first != Hidden {
		folders = append(folders, source{path: plain, decode: plainName})
	}
	for _, from := range folders {
		err := w.d.entries(from.path, func(entry fs.DirEntry) {
			if n, ok := from.decode(entry, from.path); ok && (!l.begun || n.sort > l.last) && w.wants(l, n.sort, n.isFolder()) {
				c.add(n)
			}
		})
		if err != nil {
			return unusable("the folder of the bucket can't be read", err)
		}
	}
	c.shrink()
	l.names, l.complete = c.names, c.complete
	return nil
}

// source is one of the two folders that the names of a level come from.
type source struct {
	path   string
	decode func(fs.DirEntry, string) (name, bool)
}

// plainName makes a name of an entry of a plain folder. What is no file and no folder is
// none, and neither is what no key can be.
func plainName(entry fs.DirEntry, folder string) (name, bool) {
	text := entry.Name()
	if !isPath(text) || folder == "." && text == Hidden {
		return name{}, false
	}
	path := text
	if folder != "." {
		path = folder + "/" + text
	}
	return nameOf(entry, text, path)
}

func moreName(entry fs.DirEntry, folder string) (name, bool) {
	text := entry.Name()
	letter := moreObjectLetter
	if entry.IsDir() {
		letter = moreFolderLetter
	}
	short, ok := strings.CutPrefix(text, letter)
	if !ok || short != "" && !isPath(short) {
		return name{}, false
	}
	return nameOf(entry, short, folder+"/"+text)
}

func nameOf(entry fs.DirEntry, text, path string) (name, bool) {
	if entry.IsDir() {
		return name{sort: text + "/", path: path}, true
	}
	info, err := entry.Info()
	if err != nil || !info.Mode().IsRegular() {
		return name{}, false
	}
	return name{sort: text, path: path, info: info}, true
}

// chunk keeps the first names of all that it is given.
type chunk struct {
	limit    int
	names    []name
	bound    string // names from here on are too many; "" = none yet
	complete bool
}

func (c *chunk) add(n name) {
	if c.bound != "" && n.sort > c.bound {
		c.complete = false
		return
	}
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
	folder, err := d.root.Open(path)
	if err != nil {
		if errors.Is(absent(err), fs.ErrNotExist) {
			return nil
		}
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
		if !f.isFolder() {
			return true, nil
		}
		if err := inner.enter(f.key); err != nil {
			return false, err
		}
	}
}
