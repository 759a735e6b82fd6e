// Package workload has one file for each thing that candidates are compared at.
// Each registers what it has with package bench.
package workload
