// Package workload has one file for each kind of work that candidates are compared at.
// Each registers its workloads with package bench.
package workload
