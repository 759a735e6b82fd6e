package report

import (
	"errors"
	"os"
	"path/filepath"
)

// Write writes results.json, results.md and the plots.
func Write(r *Results, dir string) error {
	if err := r.WriteJSON(dir); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "results.md"))
	if err != nil {
		return err
	}
	if err := errors.Join(r.WriteMarkdown(f), f.Close()); err != nil {
		return err
	}
	if r.Short {
		return nil // the figures mean nothing
	}
	return r.WritePlots(dir)
}
