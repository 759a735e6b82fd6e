module github.com/vita-go/deblockator/examples/compare

go 1.25.0

require (
	github.com/apache/arrow-go/v18 v18.8.0
	github.com/dgraph-io/ristretto/v2 v2.4.2
	github.com/fmstephe/memorymanager v0.0.3
	github.com/mlange-42/ark v0.8.1
	github.com/vita-go/deblockator v0.0.0
	github.com/yohamta/donburi v1.15.7
	modernc.org/memory v1.12.1
)

require (
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dustin/go-humanize v1.0.1 // indirect
	github.com/fmstephe/flib v0.0.1 // indirect
	golang.org/x/sys v0.47.0 // indirect
)

replace github.com/vita-go/deblockator => ../..
