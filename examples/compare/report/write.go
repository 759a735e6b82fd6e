package report

import (
	"errors"
	"os"
	"path/filepath"
)

// Write writes results.json, results.md and, if the figures mean something, the plots.
func Write(r *Results, dir string) error {
	if err := WriteTables(r, dir); err != nil || r.Short {
		return err
	}
	return r.WritePlots(dir)
}

// WriteTables writes results.json and results.md.
func WriteTables(r *Results, dir string) error {
	if err := r.WriteJSON(dir); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "results.md"))
	if err != nil {
		return err
	}
	return errors.Join(r.WriteMarkdown(f), f.Close())
}
