package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/rbee-launch/rbee-launch/internal/program"
	"github.com/rbee-launch/rbee-launch/registry"
)

// view is one of the page's, and what to wait for in it.
type view struct{ name, hash, ready string }

// accessibility: nobody is shut out of any view, in light colours or dark ones. By the way
// each is photographed; with RBEE_SCREENSHOTS=1 the pictures in docs/gui are made anew.
func accessibility(t *testing.T, b browser) {
	axe := readAxe(t)
	w := startWorld(t)
	empty := b.profile(t).first(w.gui.url)
	empty.live()
	pictures := pictureDir(t)
	inspect(t, empty, axe, pictures, []view{{"empty", "#/cluster", one("empty-cluster") + ` !== null`}})

	id := populate(t, w)
	p := b.profile(t).first(w.gui.url + "/#/spawn")
	p.live()
	p.choose(one("spawn-engine"), "failing")
	p.click(one("spawn-start"))
	p.await(one("operation", "[data-status='failed']") + ` !== null`)
	p.enter(one("spawn-engine"), "") // its path is nobody else's
	p.page("#/talk/" + id)
	p.await(one("talk-model") + `?.value === "demo"`)
	p.enter(one("chat-input"), "What are you?")
	p.click(one("chat-send"))
	p.await(one("chat-stats") + ` !== null && ` + one("chat-stop") + ` === null`)
	inspect(t, p, axe, pictures, []view{
		{"cluster", "#/cluster", row("worker/"+id) + ` !== null`},
		{"worker", "#/worker/" + id, one("plot-memory") + `?.textContent.includes("iB") === true`},
		{"hive", "#/hive/box1", one("machine") + ` !== null`},
		{"spawn", "#/spawn", one("operation", "[data-status='failed']") + ` !== null`},
		{"talk", "#/talk/" + id, one("chat-stats") + ` !== null`},
		{"events", "#/events", one("event") + ` !== null`},
	})
}

// populate makes the world one that there is something to see in: of all kinds one, and
// workers that are well and others.
func populate(t *testing.T, w *world) (worker string) {
	t.Helper()
	w.start(program.QueenName, "--listen=127.0.0.1:0", "--registry-url="+w.registry.url)
	w.start(program.HiveName, "--listen=127.0.0.1:0", "--registry-url="+w.registry.url, "--id=box1", "--advertise=localhost")
	c := w.client()
	for i := range 6 {
		if _, err := c.Register(t.Context(), registry.Component{
			Kind: registry.Worker, ID: fmt.Sprintf("worker-llm-%d@box2", 8080+i), InstanceID: "i", Hostname: "box2", Port: 8080 + i,
			WorkerType: "llm", Model: []string{"qwen3-8b-q4_k_m", "llama-3.2-3b"}[i%2], Metadata: map[string]any{"spawned_by": "hive-box2", "engine": "llama-server"},
		}); err != nil {
			t.Fatal(err)
		}
	}
	return w.spawn(simulation)
}

func readAxe(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../gui/page/node_modules/axe-core/axe.min.js")
	if err != nil {
		if os.Getenv("RBEE_CI") == "1" {
			t.Fatalf("axe is not here, and CI is to look at the page with it: %v", err)
		}
		t.Skipf("axe is not here ('npm ci' in gui/page brings it): %v", err)
	}
	return string(text)
}

func pictureDir(t *testing.T) string {
	if os.Getenv("RBEE_SCREENSHOTS") != "1" {
		return t.TempDir()
	}
	dir := filepath.Join("..", "..", "docs", "gui")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func inspect(t *testing.T, p *tab, axe, dir string, views []view) {
	t.Helper()
	for _, scheme := range []string{"light", "dark"} {
		call(p, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 1200, Height: 800, DeviceScaleFactor: 1})
		call(p, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme},
			{Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		for _, v := range views {
			p.page(v.hash)
			p.await(v.ready)
			p.fits(v.name + ", " + scheme)
			photograph(t, p, filepath.Join(dir, v.name+"-"+scheme+".png"))
			p.findings(axe, v.name+", "+scheme)
		}
	}
}

// fits fails for what is wider than what it is in: nothing on the page is to be scrolled
// sideways, unless it is made for that.
func (b *tab) fits(where string) {
	b.t.Helper()
	for _, what := range eval[[]string](b, `[document.documentElement, ...document.querySelectorAll(".card, .panel-body")]
		.filter(e => e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== "auto" || e === document.documentElement && e.scrollWidth > innerWidth)
		.map(e => e.tagName + "." + e.className + ": " + e.scrollWidth + " in " + e.clientWidth)`) {
		b.t.Errorf("%s: too wide: %s", where, what)
	}
}

// findings fails for what axe finds that shuts people out.
func (b *tab) findings(axe, where string) {
	b.t.Helper()
	if !eval[bool](b, `typeof axe !== "undefined"`) {
		eval[chromedp.Void](b, axe)
	}
	text := eval[string](b, `axe.run(document, {resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations.map(v =>
		({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 5).map(n => n.html.slice(0, 200) + " | " + n.failureSummary)}))))`)
	var found []struct {
		ID, Impact, Help string
		Nodes            []string
	}
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		b.t.Fatal(err)
	}
	for _, f := range found {
		say := b.t.Logf
		if f.Impact == "serious" || f.Impact == "critical" {
			say = b.t.Errorf
		}
		say("%s: %s (%s): %s: %q", where, f.ID, f.Impact, f.Help, f.Nodes)
	}
}

const maxPicture = 150_000

func photograph(t *testing.T, p *tab, path string) {
	t.Helper()
	eval[chromedp.Void](p, `document.querySelectorAll("[data-testid='notes'] button").forEach(b => b.click())`)
	p.await(`document.querySelector("[data-testid='notes'] button") === null`)
	shot, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	var small bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, paletted(img)); err != nil {
		t.Fatal(err)
	}
	if small.Len() > maxPicture {
		t.Errorf("%s has %d bytes", path, small.Len())
	}
	if err := os.WriteFile(path, small.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// alike are colours that nobody tells apart on a page.
func alike(a, b color.Color) bool {
	p, q := color.RGBAModel.Convert(a).(color.RGBA), color.RGBAModel.Convert(b).(color.RGBA)
	far := func(x, y uint8) int { return max(int(x)-int(y), int(y)-int(x)) }
	return max(far(p.R, q.R), far(p.G, q.G), far(p.B, q.B)) < 4
}

// paletted is a picture with the 256 colours that it has most of, and that are not alike:
// a file with a palette is half as large.
func paletted(img image.Image) image.Image {
	counts := map[color.RGBA]int{}
	b := img.Bounds()
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(img.At(x, y)).(color.RGBA) }
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			counts[at(x, y)]++
		}
	}
	most := slices.SortedFunc(maps.Keys(counts), func(p, q color.RGBA) int { return counts[q] - counts[p] })
	var palette color.Palette
	for _, c := range most {
		if len(palette) < 256 && (len(palette) == 0 || !alike(c, palette[palette.Index(c)])) {
			palette = append(palette, c)
		}
	}
	nearest := map[color.RGBA]uint8{}
	small := image.NewPaletted(b, palette)
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := at(x, y)
			i, known := nearest[c]
			if !known {
				i = uint8(palette.Index(c))
				nearest[c] = i
			}
			small.SetColorIndex(x, y, i)
		}
	}
	return small
}
