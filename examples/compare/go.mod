module github.com/vita-go/deblockator/examples/compare

go 1.25.0

require (
	github.com/vita-go/deblockator v0.0.0
	modernc.org/memory v1.12.1
)

require golang.org/x/sys v0.47.0 // indirect

replace github.com/vita-go/deblockator => ../..
