package main

import (
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The program in the README runs, and prints what its comment says.
func TestReadmeProgram(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, text, _ := strings.Cut(string(readme), "\n```go\n")
	text, _, ok := strings.Cut(text, "\n```\n")
	require.True(t, ok)
	text += "\n"
	_, want, ok := strings.Cut(text, "println(enemies.Len(), alive)       // ")
	require.True(t, ok)
	want, _, _ = strings.Cut(want, "\n")
	assert.LessOrEqual(t, len(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' })), 15, "lines")

	file := filepath.Join(t.TempDir(), "main.go")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
	out, err := exec.Command("go", "run", file).CombinedOutput()
	require.NoError(t, err, string(out))
	assert.Equal(t, want+"\n", string(out))
	formatted, err := format.Source([]byte(text))
	require.NoError(t, err)
	assert.Equal(t, string(formatted), text)
}
