package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/resource"
)

// readResources reads files, stdin for "-", and of folders what ends in .yaml, .yml or
// .json, in order of name; hidden ones are left out. Together they are bounded as the
// server bounds them.
func readResources(p *Process, paths []string) ([]iamclient.File, error) {
	files, left := []iamclient.File{}, resource.MaxBytes
	for _, path := range paths {
		names, err := resourceFiles(path)
		for _, name := range names {
			file := iamclient.File{Name: name}
			if file.Content, err = readResource(p, name, left); err != nil {
				break
			}
			if name == "-" {
				file.Name = "stdin"
			}
			left -= len(file.Content)
			files = append(files, file)
		}
		if err != nil {
			return nil, countersign.WrapError(countersign.Invalid, countersign.ReasonResourceInvalid, printable(path)+" can't be read", err)
		}
	}
	if len(files) == 0 {
		return nil, countersign.NewError(countersign.Invalid, countersign.ReasonResourceInvalid,
			fmt.Sprintf("no file that ends in .yaml, .yml or .json lies in %s", printable(strings.Join(paths, ", "))))
	}
	return files, nil
}

func resourceFiles(path string) (names []string, err error) {
	if path == "-" {
		return []string{path}, nil
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path += string(filepath.Separator) // so that a link to a folder is followed
	}
	err = filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err // entry may be nil
		}
		hidden := name != path && strings.HasPrefix(entry.Name(), ".")
		switch {
		case hidden && entry.IsDir():
			return filepath.SkipDir
		case !entry.IsDir() && (name == path || !hidden && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name))):
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

func readResource(p *Process, name string, limit int) (string, error) {
	in := io.NopCloser(p.Stdin)
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return "", err
		}
		in = file
	}
	content, err := io.ReadAll(io.LimitReader(in, int64(limit)+1))
	if err == nil && len(content) > limit {
		err = fmt.Errorf("the files are larger than %d MiB together", resource.MaxBytes>>20)
	}
	return string(content), errors.Join(err, in.Close())
}
