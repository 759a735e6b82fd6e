module github.com/vita-go/deblockator

go 1.25.0

require (
	github.com/stretchr/testify v1.12.0
	golang.org/x/sys v0.47.0
)

require gopkg.in/yaml.v3 v3.0.1 // indirect
