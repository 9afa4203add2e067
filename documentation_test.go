package countersign_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestDocumentationOfPublicPackages holds every exported identifier of the public
// packages to a docstring, and every exported function that returns an error to a
// line that names the errors.
func TestDocumentationOfPublicPackages(t *testing.T) {
	t.Parallel()
	for folder := range sourceFolders(t) {
		if internalFolder(folder) {
			continue
		}
		pkg := documentation(t, folder)
		for _, f := range exportedFuncs(pkg) {
			if strings.TrimSpace(f.Doc) == "" {
				t.Errorf("%s: %s has no docstring", folder, f.Name)
			}
			if returnsError(f) && !implementsKnownInterface(f) && !strings.Contains(f.Doc, "Errors:") {
				t.Errorf("%s: %s returns an error and has no Errors: line", folder, f.Name)
			}
		}
		for _, typ := range pkg.Types {
			if token.IsExported(typ.Name) && strings.TrimSpace(typ.Doc) == "" {
				t.Errorf("%s: type %s has no docstring", folder, typ.Name)
			}
		}
	}
}

// TestDocumentationNamesEveryPackage holds every package to a doc.go, and every
// public one to an example.
func TestDocumentationNamesEveryPackage(t *testing.T) {
	t.Parallel()
	for folder, files := range sourceFolders(t) {
		if folder == "cmd/countersign" || strings.HasPrefix(folder, "test/") {
			continue
		}
		if !slices.Contains(files, "doc.go") {
			t.Errorf("%s has no doc.go", folder)
		}
		if !internalFolder(folder) && !slices.Contains(files, "example_test.go") {
			t.Errorf("%s has no example_test.go", folder)
		}
	}
}

// TestDocumentationFrontDoorsLookAlike holds every front door to the same file names.
func TestDocumentationFrontDoorsLookAlike(t *testing.T) {
	t.Parallel()
	for _, door := range []string{"internal/oauth", "internal/iam", "internal/sts", "internal/s3gw"} {
		files := sourceFolders(t)[door]
		for _, name := range []string{"doc.go", "handler.go", "request.go", "response.go", "errors.go"} {
			if !slices.Contains(files, name) {
				t.Errorf("%s has no %s", door, name)
			}
		}
	}
}

func internalFolder(folder string) bool {
	first, _, _ := strings.Cut(folder, "/")
	return slices.Contains([]string{"internal", "cmd", "test", "examples"}, first)
}

// sourceFolders lists the Go files of every folder that has some.
func sourceFolders(t *testing.T) map[string][]string {
	t.Helper()
	folders := make(map[string][]string)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != "." && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata" || entry.Name() == "node_modules") {
			return fs.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			folder := filepath.ToSlash(filepath.Dir(path))
			folders[folder] = append(folders[folder], entry.Name())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return folders
}

func documentation(t *testing.T, folder string) *doc.Package {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") || strings.HasSuffix(entry.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, filepath.Join(folder, entry.Name()), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	pkg, err := doc.NewFromFiles(set, files, module+"/"+folder)
	if err != nil {
		t.Fatal(err)
	}
	return pkg
}

func exportedFuncs(pkg *doc.Package) []*doc.Func {
	funcs := slices.Clone(pkg.Funcs)
	for _, typ := range pkg.Types {
		funcs = append(append(funcs, typ.Funcs...), typ.Methods...)
	}
	return slices.DeleteFunc(funcs, func(f *doc.Func) bool { return !token.IsExported(f.Name) })
}

func returnsError(f *doc.Func) bool {
	results := f.Decl.Type.Results
	if results == nil || len(results.List) == 0 {
		return false
	}
	last, ok := results.List[len(results.List)-1].Type.(*ast.Ident)
	return ok && last.Name == "error"
}

// implementsKnownInterface: the interface says which errors there are.
func implementsKnownInterface(f *doc.Func) bool {
	return slices.Contains([]string{"Unwrap", "Close"}, f.Name)
}
