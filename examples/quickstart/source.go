package main

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tree is the Go files of a folder and all folders below it.
type tree struct {
	root   string
	files  []string // relative to root, in lexical order
	locked int      // folders that could not be read
}

// installation returns the folder of the standard library's source. It asks the go
// command, because a binary knows where Go was when it was built, but not whether it is
// still there.
func installation(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	root := strings.TrimSpace(string(out))
	if err == nil && root == "" {
		err = errors.New("it names none")
	}
	if err != nil {
		return "", fmt.Errorf("%w: asking the go command for the Go installation: %w (a folder may be given instead)", errInput, err)
	}
	return filepath.Join(root, "src"), nil
}

// openTree finds the Go files. It does not follow symbolic links in the tree, so that the
// tree has an end; the folder itself may be a link, as it is where Debian installs Go.
// Folders that cannot be read are passed over, and counted.
func openTree(folder string) (*tree, error) {
	root, err := filepath.EvalSymlinks(folder)
	if err == nil {
		root, err = filepath.Abs(root)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: there is no folder %s", errInput, folder)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", errInput, folder, err)
	}
	if info, err := os.Stat(root); err != nil {
		return nil, fmt.Errorf("%w: %w", errInput, err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%w: %s is not a folder", errInput, folder)
	}

	t := &tree{root: root}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && path == root:
			return err
		case err != nil:
			t.locked++
		case d.Type().IsRegular() && filepath.Ext(path) == ".go":
			rel, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			t.files = append(t.files, rel)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errInput, err)
	}
	if len(t.files) == 0 {
		err := fmt.Errorf("%w: no Go files in %s or below", errInput, folder)
		if t.locked > 0 {
			err = fmt.Errorf("%w, but %s that could not be read", err, plural(t.locked, "folder"))
		}
		return nil, err
	}
	return t, nil
}

// at writes a place as editors and compilers do.
func (t *tree) at(p place) string {
	return fmt.Sprintf("%s:%d:%d", filepath.ToSlash(t.files[p.File]), p.Line, p.Col)
}

// parsed is what became of the files.
type parsed struct {
	Files      int
	Bytes      int64
	Broken     int // have syntax errors
	Unreadable int
}

// parse calls add for every identifier of the i-th file, in order, and notes in done what
// became of the file. From a file with syntax errors it takes what the parser makes of
// it: the Go installation has such files on purpose, to test its compiler with. The error
// is that of add.
func (t *tree) parse(i int, done *parsed, add func(name string, p place) error) error {
	src, err := os.ReadFile(filepath.Join(t.root, t.files[i]))
	if err != nil {
		done.Unreadable++
		return nil
	}
	done.Files++
	done.Bytes += int64(len(src))

	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, t.files[i], src, parser.SkipObjectResolution|parser.AllErrors)
	if err != nil {
		done.Broken++
	}
	if file == nil {
		return nil
	}
	lines := fset.File(file.FileStart)
	kinds := make(map[*ast.Ident]kind) // of those that declare something

	var failed error
	ast.Inspect(file, func(n ast.Node) bool {
		if failed != nil {
			return false
		}
		id, ok := n.(*ast.Ident)
		if !ok {
			declared(n, kinds)
			return true
		}
		// Where an identifier is missing, the parser makes one up.
		if !id.Pos().IsValid() {
			return false
		}
		if at := lines.Offset(id.Pos()); string(src[at:min(at+len(id.Name), len(src))]) != id.Name {
			return false
		}
		pos := lines.PositionFor(id.Pos(), false) // in this file, whatever //line says
		failed = add(id.Name, place{
			File: uint32(i),
			Line: uint32(pos.Line),
			Col:  uint16(min(pos.Column, math.MaxUint16)),
			Kind: kinds[id],
		})
		return false
	})
	return failed
}

// declared notes the identifiers that n declares, before they are visited.
func declared(n ast.Node, kinds map[*ast.Ident]kind) {
	note := func(k kind, ids ...*ast.Ident) {
		for _, id := range ids {
			kinds[id] = k
		}
	}
	left := func(tok token.Token, exprs ...ast.Expr) {
		for _, e := range exprs {
			if id, ok := e.(*ast.Ident); ok && tok == token.DEFINE {
				note(variable, id)
			}
		}
	}
	switch n := n.(type) {
	case *ast.FuncDecl:
		note(function, n.Name)
	case *ast.TypeSpec:
		note(typeName, n.Name)
	case *ast.ValueSpec:
		note(variable, n.Names...)
	case *ast.Field:
		note(field, n.Names...)
	case *ast.AssignStmt:
		left(n.Tok, n.Lhs...)
	case *ast.RangeStmt:
		left(n.Tok, n.Key, n.Value)
	}
}
