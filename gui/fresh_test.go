package gui_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/gui"
)

// TestBuiltPageIsFresh: dist was built from the sources that are here. The recipe is in
// page/build.mjs, and needs no Node.
func TestBuiltPageIsFresh(t *testing.T) {
	names := []string{"build.mjs", "package.json", "package-lock.json", "tsconfig.json"}
	err := filepath.WalkDir("page/src", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, filepath.ToSlash(strings.TrimPrefix(path, "page"+string(filepath.Separator))))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	hash := sha256.New()
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join("page", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(hash, "%s\x00%s\x00", name, text)
	}
	built, err := os.ReadFile("dist/sources.sha256")
	if err != nil {
		t.Fatal(err)
	}
	if want := hex.EncodeToString(hash.Sum(nil)) + "\n"; string(built) != want {
		t.Error("gui/dist was built from other sources: run 'npm ci && npm run build' in gui/page")
	}
}

// TestBuiltPageIsReproduced: the same sources come to the same bytes.
func TestBuiltPageIsReproduced(t *testing.T) {
	_, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat("page/node_modules/esbuild")
	}
	if err != nil {
		if os.Getenv("RBEE_CI") == "1" {
			t.Fatalf("the page can't be built, and CI is to test that: %v", err)
		}
		t.Skipf("the page can't be built here ('npm ci' in gui/page lays the tools in): %v", err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "build.mjs", "--check")
	cmd.Dir = "page"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// maxPage is what a browser loads at most for the page, compressed.
const maxPage = 200_000

// TestPageIsSmall also holds the page to naming nothing but its own files.
func TestPageIsSmall(t *testing.T) {
	at, _ := startGUI(t, gui.Config{})
	index := ask(t, http.MethodGet, at+"/", "")
	zipped := func(path string) int {
		a := ask(t, http.MethodGet, at+path, "", "Accept-Encoding", "gzip")
		if a.status != http.StatusOK {
			t.Fatalf("%s: %d", path, a.status)
		}
		return len(a.body)
	}
	sum := zipped("/")
	named := regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(index.body, -1)
	for _, m := range named {
		if strings.HasPrefix(m[1], "data:") {
			continue
		}
		sum += zipped("/" + strings.TrimPrefix(m[1], "/"))
	}
	if t.Logf("the page has %d bytes, compressed", sum); len(named) < 2 || sum > maxPage {
		t.Errorf("the page has %d bytes, compressed, and %d parts", sum, len(named))
	}
}
