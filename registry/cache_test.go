package registry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// lives are clients of one registry, one after another, that keep their answers in dir.
type lives struct {
	t   *testing.T
	dir string
	ts  *httptest.Server
}

func newLives(t *testing.T) lives {
	t.Helper()
	ts := httptest.NewServer(server.New(server.Config{}).Handler())
	t.Cleanup(ts.Close)
	return lives{t, filepath.Join(t.TempDir(), "made", "for-it"), ts}
}

func (l lives) next() *registry.Client {
	l.t.Helper()
	cfg := quick(l.ts.URL)
	cfg.CacheDir, cfg.Token = l.dir, "secret"
	return dial(l.t, cfg)
}

func (l lives) files() []string {
	l.t.Helper()
	list, err := filepath.Glob(filepath.Join(l.dir, "*"))
	hidden, _ := filepath.Glob(filepath.Join(l.dir, ".*"))
	if err != nil {
		l.t.Fatal(err)
	}
	return append(list, hidden...)
}

func populate(t *testing.T, c *registry.Client) {
	t.Helper()
	vllm := worker("v")
	vllm.WorkerType = "vllm"
	register(
		t, c, worker("w"), vllm,
		registry.Component{Kind: registry.Hive, ID: "h", Hostname: "box", Port: 1},
		registry.Component{Kind: registry.Queen, ID: "queen", Hostname: "box", Port: 2},
	)
}

// holdAnswers wants of c, whose registry is away, the answers that populate made, as of that time.
func holdAnswers(t *testing.T, c *registry.Client, after, before time.Time) {
	t.Helper()
	ctx := t.Context()
	check := func(what string, ids string, want string, stale bool, asOf time.Time, cause, err error) {
		t.Helper()
		if err != nil || ids != want || !stale || cause == nil || asOf.Before(after) || asOf.After(before) {
			t.Errorf("%s: %q, want %q; stale %v since %v, %v, %v", what, ids, want, stale, asOf, cause, err)
		}
	}
	queen, err := c.Queen(ctx)
	if err != nil || queen.Value == nil {
		t.Fatalf("the queen is %+v, %v", queen, err)
	}
	check("the queen", queen.Value.ID, "queen", queen.Stale, queen.AsOf, queen.Cause, err)
	for filter, want := range map[string]string{"": "v w", "vllm": "v", "none": ""} {
		list, err := c.Workers(ctx, registry.Filter{WorkerType: filter})
		check("workers "+filter, ids(registry.Snapshot{Workers: list.Value}), want, list.Stale, list.AsOf, list.Cause, err)
	}
	hives, err := c.Hives(ctx)
	check("hives", ids(registry.Snapshot{Workers: hives.Value}), "h", hives.Stale, hives.AsOf, hives.Cause, err)
	all, err := c.Components(ctx)
	check("all", ids(all.Value), "v w", all.Stale, all.AsOf, all.Cause, err)
	if all.Value.Queen == nil || all.Value.Revision != 4 {
		t.Errorf("all is %+v", all)
	}
}

// What one client has learned, by asking or by watching, the next one knows, though the
// registry is away. So does the first itself, of what it has never asked.
func TestAnswersOutliveTheClient(t *testing.T) {
	for name, learn := range map[string]func(*testing.T, *registry.Client){
		"asked":   func(t *testing.T, c *registry.Client) { _, _ = c.Components(t.Context()) },
		"watched": func(t *testing.T, c *registry.Client) { v := watch(t, c); v.everything(c); v.end() },
		"only watched": func(t *testing.T, c *registry.Client) {
			v := watch(t, c)
			v.until("everyone", func(v registry.View) bool { return v.Snapshot.Revision == 4 })
			v.end()
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLives(t)
			before := time.Now().Round(0)
			first := l.next()
			populate(t, first)
			learn(t, first)
			l.ts.Close()
			after := time.Now()
			holdAnswers(t, first, before, after)
			first.Close()

			second := l.next()
			holdAnswers(t, second, before, after)
			v := watch(t, l.next())
			at := v.until("the first view", func(registry.View) bool { return true })
			// Whether the registry was tried already is a matter of who is quicker.
			if at.Connected || (at.Cause != nil && !errors.Is(at.Cause, registry.ErrUnreachable)) || ids(at.Snapshot) != "v w" || at.AsOf.Before(before) || at.AsOf.After(after) {
				t.Errorf("the first view is %+v", at)
			}
			if away := v.disconnected(registry.ErrUnreachable); ids(away.Snapshot) != "v w" || !away.AsOf.Equal(at.AsOf) {
				t.Errorf("then comes %+v", away)
			}
		})
	}
}

func TestWhatIsOnDisk(t *testing.T) {
	l := newLives(t)
	c := l.next()
	populate(t, c)
	for range 3 {
		if _, err := c.Components(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	other := l.next() // asks something else
	if _, err := other.Workers(t.Context(), registry.Filter{Model: "m"}); err != nil {
		t.Fatal(err)
	}
	other.Close()
	files := l.files()
	if len(files) != 1 {
		t.Fatalf("there are %q", files)
	}
	for path, want := range map[string]os.FileMode{files[0]: 0o600, l.dir: 0o700 | os.ModeDir} {
		if info, err := os.Stat(path); err != nil || info.Mode() != want {
			t.Errorf("%s has mode %v, %v", path, info.Mode(), err)
		}
	}
	text, err := os.ReadFile(files[0])
	if err != nil || bytes.Contains(text, []byte("secret")) || !bytes.Contains(text, []byte("/components")) || !bytes.Contains(text, []byte("model=m")) {
		t.Errorf("in it is %s, %v", text, err)
	}
	l.ts.Close()
	holdAnswers(t, l.next(), time.Time{}, time.Now())
}

// A name and a password in the URL are nobody else's business.
func TestCredentialsAreNotOnDisk(t *testing.T) {
	l := newLives(t)
	c := dial(t, registry.Config{URL: strings.Replace(l.ts.URL, "//", "//someone:secret@", 1), CacheDir: l.dir})
	populate(t, c)
	if _, err := c.Components(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Close()
	text, err := os.ReadFile(l.files()[0])
	if err != nil || bytes.Contains(text, []byte("secret")) || bytes.Contains(text, []byte("someone")) {
		t.Errorf("in it is %s, %v", text, err)
	}
}

// Whatever is in the file's place is as good as no file, and makes way for one.
func TestAFileThatIsNotOurs(t *testing.T) {
	const another = `{"registry":"http://box9","answers":[{"path":"/v1/registry/queen","as_of":"2026-01-01T00:00:00Z","body":null}]}`
	for name, spoil := range map[string]func(path string) error{
		"nothing":    func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"half of it": func(path string) error { return os.Truncate(path, 200) },
		"another's": func(path string) error {
			return os.WriteFile(path, []byte(another), 0o600)
		},
		"other JSON":      func(path string) error { return os.WriteFile(path, []byte(`[1,2]`), 0o600) },
		"too much":        func(path string) error { return os.Truncate(path, 1<<30) },
		"what is no file": func(path string) error { _ = os.Remove(path); return syscall.Mkfifo(path, 0o600) },
		"answers that are none": func(path string) error {
			text, err := os.ReadFile(path)
			start, _, _ := bytes.Cut(text, []byte(`,"answers"`))
			forged := fmt.Appendf(start, `,"answers":[{"path":"/v1/registry/components","as_of":"2026-01-01T00:00:00Z","body":7},{"path":"/v1/registry/queen","body":"x"}]}`)
			return errorOr(err, os.WriteFile(path, forged, 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLives(t)
			first := l.next()
			populate(t, first)
			if _, err := first.Components(t.Context()); err != nil {
				t.Fatal(err)
			}
			first.Close()
			if err := spoil(l.files()[0]); err != nil {
				t.Fatal(err)
			}
			away := registry.Config{URL: l.ts.URL, CacheDir: l.dir, Timeout: time.Nanosecond}
			blind := dial(t, away)
			if a, err := blind.Components(t.Context()); err == nil {
				t.Errorf("everything is %+v", a)
			}
			if a, err := blind.Queen(t.Context()); err == nil {
				t.Errorf("the queen is %+v", a)
			}
			again := l.next()
			if _, err := again.Components(t.Context()); err != nil {
				t.Fatal(err)
			}
			again.Close()
			holdAnswers(t, dial(t, away), time.Time{}, time.Now())
		})
	}
}

func errorOr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func TestAFolderThatCantBeHad(t *testing.T) {
	l := newLives(t)
	inTheWay := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	l.dir = filepath.Join(inTheWay, "folder")
	c := l.next()
	populate(t, c)
	v := watch(t, c)
	v.everything(c)
	v.end()
	if all, err := c.Components(t.Context()); err != nil || all.Stale {
		t.Errorf("%+v, %v", all, err)
	}
}

// Trials start registries without end; their answers must not be kept without end.
func TestFilesAreBounded(t *testing.T) {
	l := newLives(t)
	many := http.NewServeMux() // as many registries behind one address
	many.Handle("/{i}/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.StripPrefix("/"+r.PathValue("i"), l.ts.Config.Handler).ServeHTTP(w, r)
	}))
	ts := httptest.NewServer(many)
	t.Cleanup(ts.Close)
	for i := range 40 {
		c := dial(t, registry.Config{URL: fmt.Sprint(ts.URL, "/", i), CacheDir: l.dir})
		_, _ = c.Queen(t.Context())
		c.Close()
	}
	kept := l.next()
	if _, err := kept.Queen(t.Context()); err != nil {
		t.Fatal(err)
	}
	kept.Close()
	if n := len(l.files()); n != 32 {
		t.Errorf("there are %d files", n)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if a, err := l.next().Queen(ctx); err != nil || !a.Stale {
		t.Errorf("of the last registry it is known: %+v, %v", a, err)
	}
}
