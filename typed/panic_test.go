//go:build !tinygo

// TinyGo cannot recover from a nil dereference.

package typed_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/vita-go/deblockator/typed"
)

func TestCheckTypeOfNil(t *testing.T) {
	assert.Panics(t, func() { _ = typed.CheckType(nil) })
}
