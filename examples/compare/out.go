package main

import (
	"errors"
	"os"
	"path"
	"path/filepath"
)

// checkOut makes the folder for the results and sees whether files can be written
// there, also where an earlier run has left some. What of the folder it had to make,
// undo removes again if nothing has come to be in it.
func checkOut(dir string) (undo func(), err error) {
	made := missing(dir)
	undo = func() {
		for _, d := range made {
			if os.Remove(d) != nil {
				return // there is something in it
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

// missing returns the folders of dir that do not exist, the innermost first.
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
	// The name of the folder may be a pattern itself, so it is no part of one here.
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

// isResult tells whether a file of this name would be replaced.
func isResult(name string) bool {
	return name == "results.json" || name == "results.md" || path.Ext(name) == ".svg"
}
