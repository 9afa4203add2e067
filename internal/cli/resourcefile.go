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
	add := func(name string, in io.Reader) error {
		content, err := io.ReadAll(io.LimitReader(in, int64(left)+1))
		if left -= len(content); err == nil && left < 0 {
			err = fmt.Errorf("the files are larger than %d MiB together", resource.MaxBytes>>20)
		}
		files = append(files, iamclient.File{Name: name, Content: string(content)})
		return err
	}
	for _, path := range paths {
		err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
			switch {
			case path == "-":
				return add("stdin", p.Stdin)
			case err != nil:
				return err
			case name != path && strings.HasPrefix(entry.Name(), ".") && entry.IsDir():
				return filepath.SkipDir
			case entry.IsDir(), name != path && (strings.HasPrefix(entry.Name(), ".") ||
				!slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(name))):
				return nil
			}
			file, err := os.Open(name)
			if err != nil {
				return err
			}
			return errors.Join(add(name, file), file.Close())
		})
		if err != nil {
			return nil, countersign.WrapError(countersign.Invalid, countersign.ReasonResourceInvalid, path+" can't be read", err)
		}
	}
	if len(files) == 0 {
		return nil, countersign.NewError(countersign.Invalid, countersign.ReasonResourceInvalid,
			fmt.Sprintf("no file that ends in .yaml, .yml or .json lies in %s", strings.Join(paths, ", ")))
	}
	return files, nil
}
