package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// choose returns the items of all that list names, in the order of all. A name stands
// for the item of exactly that name, or else for all items of a group of that name, or else for all
// whose names begin with it. Case does not matter, and a blank is the same as a hyphen. An
// empty list names all.
func choose[T any](all []T, list string, name func(T) string, groups ...func(T) string) (chosen []T, err error) {
	if strings.TrimSpace(list) == "" {
		return all, nil
	}
	plain := func(s string) string {
		return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(s)), " ", "-")
	}
	wanted := map[int]bool{}
	for want := range strings.SplitSeq(list, ",") {
		if plain(want) == "" {
			continue
		}
		match := func(x T) bool { return strings.HasPrefix(plain(name(x)), plain(want)) }
		for _, label := range append([]func(T) string{name}, groups...) {
			if is := func(x T) bool { return plain(label(x)) == plain(want) }; slices.ContainsFunc(all, is) {
				match = is
				break
			}
		}
		found := false
		for i, x := range all {
			if match(x) {
				wanted[i], found = true, true
			}
		}
		if !found {
			var known []string
			for _, x := range all {
				known = append(known, name(x))
			}
			return nil, fmt.Errorf("%q; there are: %s", strings.TrimSpace(want), strings.Join(known, ", "))
		}
	}
	for i, x := range all {
		if wanted[i] {
			chosen = append(chosen, x)
		}
	}
	if chosen == nil {
		return nil, fmt.Errorf("is named by %q", list)
	}
	return chosen, nil
}

// listAll prints the workloads and candidates, or those that were chosen.
func listAll(w io.Writer, o options) error {
	var text bytes.Buffer // a tabwriter forgets the error of what it writes before Flush
	tw := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "workloads:")
	for _, x := range o.workloads {
		fmt.Fprintf(tw, "  %s\t%s\n", x.Name, x.About)
	}
	fmt.Fprintln(tw, "\ncandidates:")
	for _, c := range o.candidates {
		about := c.About
		if c.Missing != nil {
			if reason := c.Missing(); reason != "" {
				about += " [not here: " + reason + "]"
			}
		}
		fmt.Fprintf(tw, "  %s\t%s\n", c.Name, about)
	}
	tw.Flush()
	_, err := w.Write(text.Bytes())
	return err
}
