package guard_test

import (
	"runtime"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/supervisor/guard"
)

// ways are how a guard starts; each has to do.
var ways = map[string]func() (*guard.Guard, error){
	"cgroups": guard.Start,
	"without": guard.StartWithoutCgroups,
}

// Each script ends its first line of output when all its processes run.
var families = map[string]string{
	"plain":               `echo up; exec sleep 1000`,
	"ignores SIGTERM":     `trap "" TERM; echo up; while :; do sleep 1; done`,
	"grandchild":          `sleep 1000 & echo up; wait`,
	"own session":         `setsid sleep 1000 & sleep 1000 & echo up; wait`,
	"daemon":              `setsid sh -c 'setsid sleep 1000 & echo up'; sleep 1000`,
	"leader leaves":       `setsid sh -c '(setsid sleep 1000 &) ; echo up' ; exit 0`,
	"without environment": `setsid env -i sleep 1000 & echo up; wait`,
	// Each of these forks the next and ends: there is no moment at which a look at the
	// process table shows them all. Who gets away stays as the last: an endless relay
	// could use up the machine's pids.
	"relay":             relay("") + `sh -c "$RELAY"; echo up; sleep 1000`,
	"relay left behind": relay("") + `sh -c "$RELAY"; echo up; exit 0`,
	"relay of sessions": relay("setsid ") + `sh -c "$RELAY"; echo up; sleep 1000`,
	"stopped":           `sleep 1000 & echo up; kill -STOP $$`,
}

// relay exports a script that starts itself 200 times over, each time by another
// process, and then stays.
func relay(how string) string {
	return `export LEFT=200; export RELAY='LEFT=$((LEFT-1)); if [ $LEFT -gt 0 ]; then ` + how + `sh -c "$RELAY" & else exec sleep 1000; fi'; `
}

func forEachFamily(t *testing.T, test func(t *testing.T, script, way string)) {
	if runtime.GOOS != "linux" {
		t.Skip("a descendant in a session of its own is found on Linux only")
	}
	for way := range ways {
		for name, script := range families {
			t.Run(way+"/"+name, func(t *testing.T) {
				t.Parallel()
				test(t, script, way)
			})
		}
	}
}

// skipUntraceable skips what nobody can do without cgroups.
func skipUntraceable(t *testing.T, script, way string) {
	t.Helper()
	_, err := guard.Cgroup()
	if strings.Contains(script, "env -i") && (way == "without" || err != nil) {
		t.Skip("with the guard, the parent and the mark all gone at once, nothing tells whose it was")
	}
}
