//go:build vita

package slab_test

import (
	"os"
	"testing"

	"github.com/vita-go/deblockator/blocksrc"
)

func TestMain(m *testing.M) {
	blocksrc.SetDefault(new(blocksrc.GoHeap))
	os.Exit(m.Run())
}
