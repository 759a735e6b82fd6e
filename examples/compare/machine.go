package main

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"github.com/vita-go/deblockator/examples/compare/report"
)

// machine describes this machine, as far as Linux reports it.
func machine() report.Machine {
	m := report.Machine{
		CPU:   field("/proc/cpuinfo", "model name"),
		Cores: runtime.GOMAXPROCS(0),
		OS:    runtime.GOOS,
		Arch:  runtime.GOARCH,
	}
	if m.CPU == "" {
		m.CPU = "unknown"
	}
	if kb, err := strconv.ParseInt(strings.TrimSuffix(field("/proc/meminfo", "MemTotal"), " kB"), 10, 64); err == nil {
		m.Memory = kb << 10
	}
	if name := strings.Trim(field("/etc/os-release", "PRETTY_NAME"), `"`); name != "" {
		m.OS += ", " + name
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.OS += ", kernel " + strings.TrimSpace(string(release))
	}
	return m
}

// field returns the first value of name in a file of lines "name: value" or
// name=value, or "" if there is none.
func field(file, name string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		i := strings.IndexAny(line, ":=")
		if i > 0 && strings.TrimSpace(line[:i]) == name {
			return strings.TrimSpace(line[i+1:])
		}
	}
	return ""
}

// commit returns the commit of the working folder, which is what go run builds, with
// a plus sign if tracked files differ from it.
func commit() string {
	hash, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	c := strings.TrimSpace(string(hash))
	if changed, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output(); err != nil || len(changed) > 0 {
		c += "+"
	}
	return c
}
