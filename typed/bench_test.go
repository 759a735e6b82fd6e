package typed_test

import (
	"reflect"
	"testing"

	"github.com/vita-go/deblockator/typed"
)

type tenFields struct {
	ID        uint64
	Pos, Vel  [3]float32
	HP, Armor int32
	Target    Handle[tenFields]
	Name      [24]byte
	Born      int64
	Flags     Flags
	Alive     bool
}

type tenFieldsRefused struct {
	ID        uint64
	Pos, Vel  [3]float32
	HP, Armor int32
	Target    *tenFieldsRefused
	Name      string
	Born      int64
	Flags     Flags
	Alive     bool
}

func BenchmarkCheck(b *testing.B) {
	for _, c := range []struct {
		name string
		checkFunc
	}{
		{"type=uint64", check[uint64]()},
		{"type=fields10", check[tenFields]()},
		{"type=fields10,array=1000x1000", check[[1000][1000]tenFields]()},
		{"type=fields10,refused", check[tenFieldsRefused]()},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = c.check()
			}
		})
	}
}

func TestBenchmarkTypes(t *testing.T) {
	if n := reflect.TypeFor[tenFields]().NumField(); n != 10 {
		t.Errorf("tenFields has %d fields", n)
	}
	if err := typed.Check[tenFields](); err != nil {
		t.Error(err)
	}
	if err := typed.Check[tenFieldsRefused](); err == nil {
		t.Error("tenFieldsRefused was accepted")
	}
}
