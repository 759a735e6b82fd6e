#!/usr/bin/env bash
# Runs the library on systems other than this one, installing what that takes.
#
#   examples/vita/ports.sh                all ports, in order, also after one has failed
#   examples/vita/ports.sh tinygo mips    only these
#   examples/vita/ports.sh -l             list the ports
#
# Each port but the archive runs the short tests of blocksrc, slab, arena, typed and
# vita. TinyGo leaves out fuzz targets, benchmarks, and tests in files tagged !tinygo; each
# of those says why.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

TINYGO=github.com/tinygo-org/tinygo@v0.41.1
WAZERO=github.com/tetratelabs/wazero/cmd/wazero@v1.12.0

PORTS=(
	"arm       an emulated Cortex-A9; gc, cgo, and the fake of the console's kernel"
	"archive   that CPU and fake; the game of examples/vita in a C program"
	"tinygo    that CPU and fake; ${TINYGO##*/} with its cgo"
	"mips      32 bits, big-endian, emulated"
	"s390x     64 bits, big-endian, emulated"
	"js        js/wasm in Node.js"
	"wasip1    wasip1/wasm in ${WAZERO##*/}"
	"windows   windows/amd64 under Wine"
)

export GOWORK=off
# The version stamp is not needed, and fails in a checkout that another user owns.
export GOFLAGS="${GOFLAGS:+$GOFLAGS }-buildvcs=false"

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

. .ci/need

# packages lists the packages to test: all but the examples. Their tests start programs,
# which neither an emulator nor wasm can do.
packages() {
	go list ./... | grep -v /examples/
}

# gotest FLAG... runs the tests with gc.
gotest() {
	trim_testify
	local list
	list=$(packages)
	# shellcheck disable=SC2086 # one word a package
	count go test -modfile="$tmp/tests.mod" -vet=off -count=1 -timeout 15m -short -v "$@" $list
}

# trim_testify puts a copy of testify without its HTTP assertions into tests.mod. TinyGo has no
# package for them, and with gc that package and what it needs are a third of what each port would
# compile.
trim_testify() {
	[[ ! -e $tmp/tests.mod ]] || return 0
	local dir file
	go mod download github.com/stretchr/testify
	dir=$(go list -m -f '{{.Dir}}' github.com/stretchr/testify)
	mkdir "$tmp/testify"
	cp -r "$dir"/{go.mod,assert,require,internal} "$tmp/testify"
	chmod -R u+w "$tmp/testify"
	rm "$tmp/testify/assert/http_assertions.go"
	for file in "$tmp"/testify/{assert,require}/*.go; do
		awk '
			/^func (\([a-z]+ \*Assertions\) )?HTTP/ { skip = 1 }
			!skip && !/^\t(http |url )?"net\/(http|url)"$/
			/^}/ { skip = 0 }' "$file" >"$tmp/trimmed.go"
		mv "$tmp/trimmed.go" "$file"
	done
	cp go.sum "$tmp/tests.sum"
	go mod edit -print -replace "github.com/stretchr/testify=$tmp/testify" >"$tmp/tests.mod"
}

# count COMMAND... runs a command that runs tests and lists each of them. It shows how
# many passed, or what failed.
count() {
	local status=0
	"$@" >"$tmp/tests.log" 2>&1 || status=$?
	if [[ $status != 0 ]]; then
		grep -vE '^ *(=== |--- (PASS|SKIP))' "$tmp/tests.log" | tail -n 200
		grep '^=== RUN' "$tmp/tests.log" | tail -n 1 # the test that was running, if it crashed
		grep -E -A 3 '^(panic|fatal error|runtime|SIG[A-Z]+|qemu[^ ]*): ' "$tmp/tests.log" | head -n 40 # why
		return "$status"
	fi
	awk '
		/^ *--- PASS/ { passed++ }
		/^ *--- SKIP/ { skipped++ }
		$1 == "ok" {
			printf "%-60s %5d passed %3d skipped %10s\n", $2, passed, skipped, $3
			all += passed
			passed = skipped = 0
		}
		/no test files|no tests to run/ { print; none = 1 }
		END { print all + 0 " tests passed"; exit none || all == 0 }' "$tmp/tests.log"
}

# The console's CPU, and C for it. vitasdk passes floats in registers, as armhf does.
SYSROOT=/usr/arm-linux-gnueabihf
CORTEX_A9="qemu-arm -cpu cortex-a9 -L $SYSROOT"

need_arm() {
	need qemu-arm qemu-user
	need arm-linux-gnueabihf-gcc gcc-arm-linux-gnueabihf libc6-dev-armhf-cross
}

# cross COMMAND... runs a Go command for that CPU.
cross() {
	CGO_ENABLED=1 GOOS=linux GOARCH=arm GOARM=7 CC=arm-linux-gnueabihf-gcc "$@"
}

port_arm() {
	need_arm
	cross gotest -tags vita,vitafake -exec "$CORTEX_A9"
}

port_archive() {
	need_arm
	local dir=$tmp/archive
	CGO_CFLAGS="-O2 -marm" cross go build -tags vita,vitafake,carchive -buildmode=c-archive \
		-o "$dir/vitagame.a" ./examples/vita
	arm-linux-gnueabihf-gcc -Wall -Wextra -Werror -mcpu=cortex-a9 -I "$dir" \
		examples/vita/cmain/main.c "$dir/vitagame.a" -lpthread -o "$dir/game"
	$CORTEX_A9 "$dir/game" 4000
	cross go build -tags vita,vitafake -o "$dir/program" ./examples/vita
	$CORTEX_A9 "$dir/program" -frames 4000
	local wrong status
	for wrong in many 0 -5 4000x; do
		status=0
		$CORTEX_A9 "$dir/game" "$wrong" || status=$?
		[[ $status == 2 ]] || { echo "game $wrong: status $status, not 2"; return 1; }
	done
}

port_tinygo() {
	need_arm
	need g++ g++
	need clang-19 clang-19 llvm-19-dev libclang-19-dev lld-19
	build_tinygo
	trim_testify
	local list
	list=$(packages)
	# With the last two tags testify needs no YAML, and no reflection that TinyGo lacks.
	# shellcheck disable=SC2086 # one word a package
	count env TINYGOROOT="$tmp/tinygo" GOFLAGS="$GOFLAGS -modfile=$tmp/tests.mod" \
		GOCACHE="$(go env GOCACHE)" XDG_CACHE_HOME="$tmp/cache" \
		"$tmp/bin/tinygo" test -target "$tmp/cortex-a9.json" -no-debug -short -v \
		-tags vita,vitafake,testify_yaml_fail,disableunsafe $list
}

# build_tinygo builds the compiler from its Go module, which lacks the Git submodules: there
# is no C library, so ports/cortex-a9.json is a target with glibc, and no package net.
build_tinygo() {
	local dir
	dir=$(go mod download -json "$TINYGO" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
	cp -r "$dir" "$tmp/tinygo"
	chmod -R u+w "$tmp/tinygo"
	mkdir -p "$tmp/tinygo/src/net"
	# In TinyGo, Skip cannot end a test. The test then returns by itself: no error.
	mend testing/testing.go '.*SkipNow is incomplete.*' ''
	# Its collector takes any word that looks like an address for an address, and so
	# keeps garbage, the more the larger the heap is: with 1 GiB some runs did not end.
	# Beyond 1 GiB, four times the size overflows 32 bits, and a heap that should grow
	# would shrink, with everything in it.
	mend runtime/runtime_unix.go 'heapMaxSize = 1 \* 1024' 'heapMaxSize = 2 * 1024'
	mend runtime/runtime_unix.go 'heapSize \* 4 / 3' 'heapSize + heapSize/3'
	# From an address inside an object it looks for the object's start, 64 bytes at a time. In
	# the memory of a simulated console that takes minutes; 256 bytes at a time take a quarter.
	local sixteen='*(*uint32)(unsafe.Add(metadataStart, b/4-3)) == uint32(blockStateByteAllTails)*0x01010101'
	mend runtime/gc_blocks.go 'b -= (b % blocksPerStateByte) + 1' "&; for b >= 64 \\&\\& $sixteen { b -= 16 }"
	(cd "$tmp/tinygo" && go build -tags llvm19 -o "$tmp/bin/tinygo" .)

	local ports=examples/vita/ports
	arm-linux-gnueabihf-gcc -fno-builtin -O2 -c "$ports/mmap64.c" -o "$tmp/mmap64.o"
	dir=$(dirname "$(arm-linux-gnueabihf-gcc -print-libgcc-file-name)")
	sed "s|@SYSROOT@|$SYSROOT|g; s|@LIBGCC@|$dir|; s|@TMP@|$tmp|" "$ports/cortex-a9.json" >"$tmp/cortex-a9.json"
}

# mend FILE OLD NEW replaces OLD, which must be there, in a file of TinyGo's own packages.
mend() {
	local file=$tmp/tinygo/src/$1
	grep -q "$2" "$file" || { echo "$1: no $2"; return 1; }
	sed -i "s|$2|$3|" "$file"
}

port_mips() {
	need qemu-mips qemu-user
	CGO_ENABLED=0 GOOS=linux GOARCH=mips gotest -exec qemu-mips
}

port_s390x() {
	need qemu-s390x qemu-user
	CGO_ENABLED=0 GOOS=linux GOARCH=s390x gotest -exec qemu-s390x
}

port_js() {
	need node nodejs
	# Go's loader refuses a large environment, so it gets a small one.
	GOOS=js GOARCH=wasm gotest \
		-exec "env -i 'PATH=$PATH' '$(go env GOROOT)/lib/wasm/go_js_wasm_exec'"
}

port_wasip1() {
	GOBIN=$tmp/bin go install "$WAZERO"
	PATH=$tmp/bin:$PATH GOWASIRUNTIME=wazero GOOS=wasip1 GOARCH=wasm gotest \
		-exec "$(go env GOROOT)/lib/wasm/go_wasip1_wasm_exec"
}

port_windows() {
	local wine=/usr/lib/wine/wine64 status=0
	need $wine wine64
	need x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64-win32
	export WINEPREFIX=$tmp/wine WINEDEBUG=-all
	$wine wineboot --init >"$tmp/wine.log" 2>&1 || { cat "$tmp/wine.log"; return 1; }
	x86_64-w64-mingw32-gcc -shared -O2 -o "$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll" \
		examples/vita/ports/bcryptprimitives.c -ladvapi32
	CGO_ENABLED=0 GOOS=windows GOARCH=amd64 gotest -exec $wine || status=$?
	/usr/lib/wine/wineserver64 -k || true # only the server of this prefix
	return $status
}

names=()
for port in "${PORTS[@]}"; do
	names+=("${port%% *}")
done

case ${1:-} in
-l)
	printf '%s\n' "${PORTS[@]}"
	exit
	;;
-*)
	echo "usage: $0 [-l] [port...]" >&2
	exit 2
	;;
esac
for name in "$@"; do
	if [[ " ${names[*]} " != *" $name "* ]]; then
		echo "no port $name; $0 -l lists them" >&2
		exit 2
	fi
done
[[ $# == 0 ]] || names=("$@")

failed=()
for name in "${names[@]}"; do
	for port in "${PORTS[@]}"; do
		[[ ${port%% *} != "$name" ]] || printf '\n--> %s\n' "$port"
	done
	begin=$SECONDS
	set +e
	(
		set -e
		"port_$name"
	) </dev/null
	status=$?
	set -e
	[[ $status == 0 ]] || failed+=("$name")
	printf '<-- %s: status %d, %d s\n' "$name" $status $((SECONDS - begin))
done
if [[ ${#failed[@]} != 0 ]]; then
	printf '\nfailed: %s\n' "${failed[*]}"
	exit 1
fi
