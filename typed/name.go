package typed

import (
	"reflect"
	"strings"
)

// rootName returns what the paths into t start with: the name of a struct or array
// without its package, or nothing.
func rootName(t reflect.Type) string {
	if k := t.Kind(); k != reflect.Struct && k != reflect.Array {
		return ""
	}
	return readable(t.Name())
}

// readable makes a name from package reflect look as it does in source. Reflect
// writes type arguments as the linker does: with the whole import path, the dots in
// its last element escaped, and a number after the name of a local type.
//
//	Pair[example.com/game/v2.Enemy,gopkg.in/yaml%2ev3.Node,main.local·1]
//	Pair[game.Enemy,yaml.Node,main.local]
func readable(name string) string {
	if !strings.ContainsAny(name, "/%·") {
		return name
	}
	var s strings.Builder
	for name != "" {
		n := strings.IndexAny(name, `[](){}<>,;* "`)
		if n < 0 {
			n = len(name)
		}
		s.WriteString(readableWord(name[:n]))
		name = name[n:]
		if name != "" {
			n = 1
			if name[0] == '"' { // the tag of a field in a struct without a name
				n = quoted(name)
			}
			s.WriteString(name[:n])
			name = name[n:]
		}
	}
	return s.String()
}

// readableWord is readable for a single, possibly qualified, identifier.
func readableWord(w string) string {
	if rest, ok := strings.CutPrefix(w, "..."); ok {
		return "..." + readableWord(rest)
	}
	w, _, _ = strings.Cut(w, "·")
	dir, base := "", w
	if i := strings.LastIndexByte(w, '/'); i >= 0 {
		dir, base = w[:i], w[i+1:]
	}
	pkg, ident, ok := strings.Cut(base, ".")
	if !ok {
		return w
	}
	return packageName(dir, pkg) + "." + ident
}

// packageName guesses the name of package dir/base as a reader of its import path
// would: the last element without its version.
func packageName(dir, base string) string {
	if dir != "" && len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = dir[strings.LastIndexByte(dir, '/')+1:]
	}
	base, _, _ = strings.Cut(base, "%2e")
	base, _, _ = strings.Cut(base, ".")
	return base
}

// quoted returns the length of the Go string literal that s starts with.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(s)
}
