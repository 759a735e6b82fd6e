package main

import (
	"errors"
	"os"
	"path"
	"path/filepath"
)

// checkOut makes the folder for the results and checks that files can be written
// there, over those of an earlier run as well. undo removes the folders that checkOut
// had to make, if they are still empty.
func checkOut(dir string) (undo func(), err error) {
	made := missing(dir)
	undo = func() {
		for _, d := range made {
			if os.Remove(d) != nil {
				return // it is not empty
			}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		undo()
		return nil, err
	}
	if err := writable(dir); err != nil {
		undo()
		return nil, err
	}
	return undo, nil
}

// missing returns the folders on the path dir that do not exist, the innermost first.
func missing(dir string) (folders []string) {
	for dir = filepath.Clean(dir); ; dir = filepath.Dir(dir) {
		if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
			return folders
		}
		folders = append(folders, dir)
	}
}

func writable(dir string) error {
	f, err := os.CreateTemp(dir, ".writable")
	if err != nil {
		return err
	}
	if err := errors.Join(f.Close(), os.Remove(f.Name())); err != nil {
		return err
	}
	// The folder's name may look like a pattern, so filepath.Glob is of no use here.
	there, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range there {
		if !isResult(entry.Name()) {
			continue
		}
		f, err := os.OpenFile(filepath.Join(dir, entry.Name()), os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}

// isResult reports whether a file of this name would be replaced.
func isResult(name string) bool {
	return name == "results.json" || name == "results.md" || path.Ext(name) == ".svg"
}
