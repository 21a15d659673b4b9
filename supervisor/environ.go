package supervisor

import (
	"os"
	"slices"
	"strings"
)

// managerVars are what a service manager (systemd) tells one process alone. A child
// that took them for its own would answer the manager in our name.
var managerVars = []string{
	"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
	"LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES", "FDSTORE",
	"SYSTEMD_EXEC_PID", "JOURNAL_STREAM",
}

// ChildEnv is the environment that a child gets for env, or for this process's own
// when env is nil: without what a service manager told this process alone
// (NOTIFY_SOCKET, LISTEN_FDS, ...), and with the last of several entries for one
// variable, where C programs would take the first. A variable of that kind which env
// sets otherwise than it is set here was meant, and stays.
func ChildEnv(env []string) []string {
	if env == nil {
		env = os.Environ()
	}
	seen := map[string]bool{}
	var kept []string
	for _, entry := range slices.Backward(env) {
		key, value, _ := strings.Cut(entry, "=")
		if seen[key] || ourOwn(key, value) {
			continue
		}
		seen[key] = true
		kept = append(kept, entry)
	}
	slices.Reverse(kept)
	return kept
}

func ourOwn(key, value string) bool {
	told, set := os.LookupEnv(key)
	return set && told == value && slices.Contains(managerVars, key)
}
