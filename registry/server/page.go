package server

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	pageStyle string

	pageTemplate = template.Must(template.New("page").Parse(pageText))
	pagePolicy   = policyFor(pageStyle)
)

// policyFor forbids a browser everything but this style: no script, whatever a component
// says of itself, and no frame around the page.
func policyFor(style string) string {
	hash := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// page shows people who is there.
func (s *Server) page(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store") // ages are on it
	h.Set("Vary", "Accept-Encoding")
	v := s.store.current()
	send(w, r, v.document("page", s.clock.now(), func(d *document) {
		var b bytes.Buffer
		_ = pageTemplate.Execute(&b, v.sheet(s.epoch, s.clock)) // a Buffer takes everything, and the fields are there
		d.body, d.media = b.Bytes(), "text/html; charset=utf-8"
	}))
	return nil
}

// maxRows bounds the page: nobody reads more.
const maxRows = 500

// sheet is what the page says.
type sheet struct {
	Style           template.CSS
	Epoch, Up       string
	Revision        uint64
	Online, Offline int
	Counts          []tally
	Rows            []row
	More            int
}

// tally counts components of one kind.
type tally struct {
	What            string
	Online, Offline int
}

// row is one component, as it is shown.
type row struct {
	registry.Entry
	Address, URL string // the URL is "" where the address makes none
	RegisteredAt string
	SeenAt       string
	Registered   string // how long ago, like the next
	Seen         string
}

func (v *view) sheet(epoch string, c clock) sheet {
	now, born := c.now(), c.born()
	at := born.Add(now)
	p := sheet{Style: template.CSS(pageStyle), Epoch: epoch, Up: age(now), Revision: v.revision}
	tallies := map[registry.Kind]*tally{
		registry.Worker: {What: "workers"}, registry.Hive: {What: "hives"},
		registry.Queen: {What: "queens"}, registry.GUI: {What: "GUIs"},
	}
	var offline, online []*record // no more of each than fit the page
	for r := range v.from("", "") {
		list, n, total := &online, &tallies[r.Kind].Online, &p.Online
		if r.Status == registry.Offline {
			list, n, total = &offline, &tallies[r.Kind].Offline, &p.Offline
		}
		*n++
		*total++
		if len(*list) < maxRows {
			*list = append(*list, r)
		}
	}
	for _, kind := range []registry.Kind{registry.Worker, registry.Hive, registry.Queen, registry.GUI} {
		p.Counts = append(p.Counts, *tallies[kind])
	}
	shown := slices.Concat(offline, online) // what is wrong comes first
	for _, r := range shown[:min(len(shown), maxRows)] {
		p.Rows = append(p.Rows, newRow(r.entry(born), at))
	}
	p.More = p.Online + p.Offline - len(p.Rows)
	return p
}

func newRow(e registry.Entry, now time.Time) row {
	r := row{
		Entry: e, Address: e.Addr(),
		RegisteredAt: e.RegisteredAt.UTC().Format(time.RFC3339), Registered: age(now.Sub(e.RegisteredAt)),
		SeenAt: e.LastSeen.UTC().Format(time.RFC3339), Seen: age(now.Sub(e.LastSeen)),
	}
	// What is no host makes no link, should one ever be registered.
	scheme, _, _ := strings.Cut(e.URL(), ":")
	if u, err := url.Parse(scheme + "://" + r.Address); err == nil && u.Host == r.Address {
		r.URL = u.String()
	}
	return r
}

// age is a duration as one reads it at a glance.
func age(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}} {
		if n := int(d / unit.length); n > 0 {
			return strconv.Itoa(n) + " " + unit.name
		}
	}
	return strconv.Itoa(max(int(d/time.Second), 0)) + " s"
}
