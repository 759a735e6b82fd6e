//go:build !tinygo

// encoding/json makes maps by reflection, which TinyGo cannot.

package arena_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vita-go/deblockator/arena"
)

// A handle survives JSON, as a value, as a key and when it is zero.
func TestHandleText(t *testing.T) {
	type message struct {
		Boss, None arena.Handle[enemy]
		Seen       map[arena.Handle[enemy]]int
	}
	a := newArena[enemy](t, nil)
	h := arena.Must(a.Insert(enemy{HP: 500}))
	sent := message{Boss: h, Seen: map[arena.Handle[enemy]]int{h: 3}}
	text, err := json.Marshal(sent)
	require.NoError(t, err)
	assert.Contains(t, string(text), fmt.Sprintf("%q:3", h))
	var got message
	require.NoError(t, json.Unmarshal(text, &got))
	assert.Equal(t, sent, got)
	p, ok := a.Get(got.Boss)
	require.True(t, ok)
	assert.EqualValues(t, 500, p.HP)

	assert.Equal(t, fmt.Sprintf("%#x", h.Bits()), fmt.Sprint(h))
	for _, bad := range []string{"", "x", "0x10000000000000000", "-1"} {
		assert.ErrorIs(t, h.UnmarshalText([]byte(bad)), errOf(bad), "%q", bad)
		assert.Equal(t, sent.Boss, h)
	}
}

func errOf(text string) error {
	if len(text) > 16 {
		return strconv.ErrRange
	}
	return strconv.ErrSyntax
}
