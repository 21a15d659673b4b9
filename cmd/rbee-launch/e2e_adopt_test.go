package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

const (
	adoptions = 50 // a tenth of that with -short
	upgrades  = 10
)

// TestAdoptAgainAndAgain: each time the sidecar of a detached launch is killed, another
// takes the child over. It stays the same process and instance, the registry never finds
// it silent for longer than two heartbeats, and no line of its log is lost.
func TestAdoptAgainAndAgain(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("a kept child is seen through /proc")
	}
	t.Parallel()
	const beat = 5 * time.Second // long, for machines under load: adoptions are much quicker
	beats := &beatLog{}
	srv := httptest.NewServer(beats.wrap(server.New(server.Config{OnlineWindow: 2 * beat}).Handler()))
	defer srv.Close()
	port := ownPort(t)
	// The child prints in bursts, as long as it serves.
	script := `llm-worker-rbee --port "$PORT" --registry-url= --queen-url= --log-level=error &
		i=0; while :; do i=$((i+1)); echo line $i; [ $((i % 20)) -ne 0 ] || sleep 0.01; done`
	command, dir := oneUser(t, filepath.Dir(mustLook(t, "rbee-launch")))
	command("exec", "-d", "--id", "talker", "--port", port, "--registry-url", srv.URL, "--queen-url", "",
		"--heartbeat-interval", beat.String(), "--grace", "1s", "--health-http", "/health", "--", "sh", "-c", script)
	defer command("stop", "--all")
	list := func() launch.Launch {
		t.Helper()
		var all []launch.Launch
		if err := json.Unmarshal([]byte(command("ps", "--json")), &all); err != nil || len(all) != 1 {
			t.Fatalf("listed: %v, %v", all, err)
		}
		return all[0]
	}
	first := list()
	rounds := adoptions
	if testing.Short() {
		rounds = adoptions / 10
	}
	for before := first; rounds > 0; rounds-- {
		if err := syscall.Kill(before.SupervisorPID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for list().Status != launch.IsOrphaned { // its guard may not have noticed yet
			time.Sleep(time.Millisecond)
		}
		command("adopt", "talker")
		now := list()
		if now.PID != first.PID || now.InstanceID != first.InstanceID || now.Status != launch.IsReady || now.SupervisorPID == before.SupervisorPID {
			t.Fatalf("adopted as %+v, at first %+v", now, first)
		}
		before = now
	}
	if longest := beats.longest(); longest > 2*beat {
		t.Errorf("it was silent for %s, with a heartbeat every %s", longest, beat)
	}
	// An upgrade loses not even one.
	for range upgrades {
		command("upgrade", "talker")
	}
	if now := list(); now.PID != first.PID || now.InstanceID != first.InstanceID || now.Status != launch.IsReady {
		t.Errorf("upgraded to %+v, at first %+v", now, first)
	}
	longest := beats.longest()
	t.Logf("over %d upgrades it was silent for %s at most, with a heartbeat every %s", upgrades, longest, beat)
	if longest > 2*beat {
		t.Errorf("it was silent for %s, with a heartbeat every %s", longest, beat)
	}
	command("stop", "talker")
	holdLines(t, filepath.Join(dir, "rbee_state_dir", "logs", "talker*.log"))
}

// beatLog notes when a registry hears of its one worker.
type beatLog struct {
	mu   sync.Mutex
	last time.Time
	max  time.Duration
}

func (b *beatLog) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		if r.Method != http.MethodPost {
			return
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		now := time.Now()
		if !b.last.IsZero() {
			b.max = max(b.max, now.Sub(b.last))
		}
		b.last = now
	})
}

// longest is the longest silence since it was asked for last.
func (b *beatLog) longest() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	longest := max(b.max, time.Since(b.last))
	b.max = 0
	return longest
}

// holdLines fails when one of the counted lines is missing from a log, or there twice.
// Of a log that was rotated, the older files may be gone.
func holdLines(t *testing.T, pattern string) {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	counted := regexp.MustCompile(`(?m)^\S+ stdout line (\d+)$`)
	seen := map[int]bool{}
	lowest, highest := 1<<62, 0
	for _, path := range files {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range counted.FindAllSubmatch(body, -1) {
			n, err := strconv.Atoi(string(found[1]))
			if err != nil {
				t.Fatal(err)
			}
			if seen[n] {
				t.Fatalf("line %d is there twice", n)
			}
			seen[n] = true
			lowest, highest = min(lowest, n), max(highest, n)
		}
	}
	if len(seen) == 0 || len(seen) != highest-lowest+1 {
		t.Errorf("of the lines %d to %d there are %d", lowest, highest, len(seen))
	}
	t.Logf("%d lines in %d files, none missing", len(seen), len(files))
}
