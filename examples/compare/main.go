// Compare measures deblockator against what a program could use instead.
//
//	go run . -out results
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/vita-go/deblockator/examples/compare/bench"
	_ "github.com/vita-go/deblockator/examples/compare/candidate"
	_ "github.com/vita-go/deblockator/examples/compare/workload"
)

func main() {
	for _, w := range bench.Workloads() {
		for _, c := range bench.Candidates() {
			if k := c.New(w.Kind); k != nil {
				out, err := w.Run(k, bench.Full)
				fmt.Fprintln(os.Stderr, w.Name, c.Name, err)
				_ = json.NewEncoder(os.Stdout).Encode(out)
			}
		}
	}
}
