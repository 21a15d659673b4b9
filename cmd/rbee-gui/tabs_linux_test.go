package main

import (
	"strings"
	"syscall"
	"testing"

	"github.com/rbee-launch/rbee-launch/internal/program"
)

// plainHost is a name that the browser finds this machine at, and does not trust as it
// trusts localhost.
const plainHost = "plain.test"

// Over plain HTTP from another machine a page has no locks; its tabs share one stream all
// the same.
func plainTabs(t *testing.T, b browser) {
	w, at := plainWorld(t)
	profile := b.profile(t)
	p := profile.first(at)
	if eval[bool](p, `isSecureContext || "locks" in navigator`) {
		t.Fatal("the browser takes it for secure")
	}
	shareOne(t, w, profile, p, at, 5000) // one that says no farewell is missed after 3 s
}

// plainWorld is one whose page the browser has over plain HTTP, as from another machine.
func plainWorld(t *testing.T) (w *world, at string) {
	t.Helper()
	w = startWorld(t)
	w.gui.end(syscall.SIGTERM)
	w.gui = w.start(program.GUIName, "--listen=127.0.0.1:0", "--registry-url="+w.registry.url, "--allow-host="+plainHost, "--stop-workers", "--ports=16600-16999")
	return w, strings.Replace(w.gui.url, "127.0.0.1", plainHost, 1)
}
