package report

import (
	"bytes"
	"os"
	"path/filepath"
)

// Write writes results.json, results.md and, unless the run was short, the plots. It
// removes plots that have no results, which would be those of an earlier run.
func Write(r *Results, dir string) error {
	if err := WriteTables(r, dir); err != nil {
		return err
	}
	return r.WritePlots(dir)
}

// WriteTables writes results.json and results.md.
func WriteTables(r *Results, dir string) error {
	if err := r.WriteJSON(dir); err != nil {
		return err
	}
	var md bytes.Buffer
	if err := r.WriteMarkdown(&md); err != nil {
		return err
	}
	return write(filepath.Join(dir, "results.md"), md.Bytes())
}

// write replaces a file atomically: if the process is killed meanwhile, or there is no
// room for the new file, the old one stays.
func write(name string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".new")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // fails after the rename, as it should
	_, err = f.Write(text)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	return err
}
