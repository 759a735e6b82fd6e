package arena_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vita-go/deblockator/arena"
	"github.com/vita-go/deblockator/blocksrc"
	"github.com/vita-go/deblockator/slab"
)

// Values of any length within a budget, in pieces of one size. Whatever is dropped makes room
// for as many pieces of anything else, so none has to go but the oldest. And a value is named by
// a handle, so that an index of values holds no pointers.
func ExampleNew_values() {
	type Piece struct {
		Next arena.Handle[Piece]
		Text [56]byte
	}
	const room = len(Piece{}.Text)
	type Value struct {
		First arena.Handle[Piece]
		Len   int
	}
	memory := arena.Must(slab.New(slab.Config{Source: blocksrc.Limit(new(blocksrc.GoHeap), 512<<10)}))
	defer memory.Close()
	pieces := arena.Must(arena.New[Piece](memory))

	drop := func(v Value) {
		for h := v.First; ; {
			p, ok := pieces.Get(h)
			if !ok {
				return
			}
			next := p.Next
			pieces.Remove(h)
			h = next
		}
	}
	store := func(text []byte) (Value, error) {
		v := Value{Len: len(text)}
		for end := len(text); end > 0; { // from the last piece to the first, which name their next
			start := (end - 1) / room * room
			p, h, err := pieces.AllocHandle()
			if err != nil {
				drop(v)
				return Value{}, err
			}
			copy(p.Text[:], text[start:end])
			p.Next, v.First, end = v.First, h, start
		}
		return v, nil
	}
	load := func(v Value) []byte {
		text := make([]byte, 0, v.Len)
		for h := v.First; len(text) < v.Len; {
			p, _ := pieces.Get(h)
			text = append(text, p.Text[:min(room, v.Len-len(text))]...)
			h = p.Next
		}
		return text
	}

	var values []Value
	dropped, most := 0, 0 // in all, and at most for one new value
	for i := range 4000 {
		text := bytes.Repeat([]byte{byte(i)}, 10+i*37%300)
		if i >= 3000 {
			text = bytes.Repeat([]byte{byte(i)}, 2000+i*37%3000) // other sizes from now on
		}
		v, err := store(text)
		for n := 1; errors.Is(err, slab.ErrExhausted) && !blocksrc.Never(err) && len(values) > 0; n++ {
			drop(values[0])
			values, dropped, most = values[1:], dropped+1, max(most, n)
			v, err = store(text)
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		values = append(values, v)
		if !bytes.Equal(load(v), text) {
			fmt.Println("value", i, "is wrong")
		}
	}
	fmt.Println("dropped:", dropped > 3500, "and few at a time:", most < 100)
	fmt.Println("of the budget in use:", memory.Stats().Live > 400<<10)
	// Output:
	// dropped: true and few at a time: true
	// of the budget in use: true
}

// Handles mean nothing in another run of a program, so objects are saved with numbers in their
// place: 1 for the first that All visits, and so on, and 0 for none.
func ExampleArena_InsertN_save() {
	type Node struct {
		Key         uint64
		Left, Right arena.Handle[Node]
	}
	type Saved struct {
		Key         uint64
		Left, Right uint32
	}

	save := func(nodes *arena.Arena[Node]) []byte {
		numbers := make(map[arena.Handle[Node]]uint32, nodes.Len())
		for h := range nodes.All() {
			numbers[h] = uint32(len(numbers) + 1)
		}
		var file bytes.Buffer
		for _, n := range nodes.All() {
			s := Saved{n.Key, numbers[n.Left], numbers[n.Right]}
			if err := binary.Write(&file, binary.LittleEndian, s); err != nil {
				panic(err) // a Buffer takes anything
			}
		}
		return file.Bytes()
	}
	load := func(nodes *arena.Arena[Node], file []byte) error {
		all := make([]Saved, len(file)/binary.Size(Saved{}))
		if err := binary.Read(bytes.NewReader(file), binary.LittleEndian, all); err != nil {
			return err
		}
		handles := make([]arena.Handle[Node], 1, len(all)+1) // number 0 is the zero Handle
		handles, err := nodes.InsertN(make([]Node, len(all)), handles)
		if err != nil {
			return err
		}
		for i, s := range all {
			if uint64(max(s.Left, s.Right)) > uint64(len(all)) {
				return fmt.Errorf("node %d refers to one of %d that is not there", i+1, len(all))
			}
			n, _ := nodes.Get(handles[i+1])
			*n = Node{s.Key, handles[s.Left], handles[s.Right]}
		}
		return nil
	}

	var before, after arena.Arena[Node]
	defer before.Close()
	defer after.Close()
	leaf := arena.Must(before.Insert(Node{Key: 7}))
	arena.Must(before.Insert(Node{Key: 9, Left: leaf}))
	if err := load(&after, save(&before)); err != nil {
		fmt.Println(err)
		return
	}
	for _, n := range after.All() {
		left, ok := after.Get(n.Left)
		if ok {
			fmt.Println(n.Key, "has", left.Key, "on its left")
		} else {
			fmt.Println(n.Key)
		}
	}
	// Output:
	// 7
	// 9 has 7 on its left
}
