package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/countersign/countersign"
)

// maxContexts bounds the file of contexts, in bytes.
const maxContexts = 256 << 10

// namedContext is one server by name: exactly one of Server, a URL, and Data, an absolute
// path. Nothing in it is secret.
type namedContext struct {
	Server string `json:"server,omitempty"`
	Data   string `json:"data,omitempty"`
}

// contextFile is what is kept in the user's config folder, in countersign/contexts.json.
type contextFile struct {
	Current  string                  `json:"current,omitempty"`
	Contexts map[string]namedContext `json:"contexts"`
}

// contextPath is below os.UserConfigDir, of this process's own environment; "" = there
// is no such folder.
func contextPath(p *Process) string {
	folder := p.getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(folder) { // XDG: a relative one is to be ignored
		if folder = p.getenv("HOME"); !filepath.IsAbs(folder) {
			return ""
		}
		folder = filepath.Join(folder, ".config")
	}
	return filepath.Join(folder, "countersign", "contexts.json")
}

// readContexts returns the contexts; without a file there are none. The file decides
// where secrets go, so it must be the user's own.
//
// Errors: countersign.Denied, Invalid, Unavailable.
func readContexts(p *Process) (contextFile, error) {
	none := contextFile{Contexts: map[string]namedContext{}}
	path := contextPath(p)
	if path == "" {
		return none, nil
	}
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return none, nil
	} else if err != nil {
		return none, countersign.WrapError(countersign.Unavailable, "", path+" can't be read", err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() || !ownAlone(info) {
		return none, countersign.WrapError(countersign.Denied, "", path+" is not a file of yours alone: run chmod 600 on it if you trust it", err)
	}
	body, err := io.ReadAll(io.LimitReader(file, maxContexts+1))
	if err != nil || len(body) > maxContexts {
		return none, countersign.WrapError(countersign.Invalid, "", path+" can't be read or is too large", err)
	}
	var contexts contextFile
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&contexts); err != nil || decoder.More() {
		return none, countersign.WrapError(countersign.Invalid, "", path+" is broken", err)
	}
	if contexts.Contexts == nil {
		contexts.Contexts = map[string]namedContext{}
	}
	for name, c := range contexts.Contexts {
		if !countersign.ValidName(name) || (c.Server == "") == (c.Data == "") || c.Data != "" && !filepath.IsAbs(c.Data) {
			return none, countersign.NewError(countersign.Invalid, "", path+" is broken: each context has a name and either a server or a data folder")
		}
	}
	return contexts, nil
}

// writeContexts replaces the file at once, so that no reader sees half of it.
//
// Errors: countersign.Unavailable.
func writeContexts(path string, contexts contextFile) (err error) {
	defer func() {
		if err != nil {
			err = countersign.WrapError(countersign.Unavailable, "", path+" can't be written", err)
		}
	}()
	body, err := json.MarshalIndent(contexts, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(path), ".contexts-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }()
	_, err = file.Write(append(body, '\n'))
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

// contextInUse returns the context of that name and its name, or with "" that of COUNTERSIGN_CONTEXT
// or the current one. A name that is not there is an error, never the default.
//
// Errors: countersign.NotFound, and as readContexts.
func contextInUse(p *Process, name string) (chosen namedContext, found string, err error) {
	contexts, err := readContexts(p)
	if err != nil {
		return namedContext{}, "", err
	}
	for _, other := range []string{p.getenv("COUNTERSIGN_CONTEXT"), contexts.Current} {
		if name == "" {
			name = other
		}
	}
	if name == "" {
		return namedContext{}, "", nil
	}
	chosen, known := contexts.Contexts[name]
	if !known {
		return namedContext{}, "", unknownContext(name)
	}
	return chosen, name, nil
}

func unknownContext(name string) error {
	return countersign.NewError(countersign.NotFound, countersign.ReasonObjectUnknown,
		fmt.Sprintf("there is no context %q: see countersign context list", printable(name)))
}
