package gui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"regexp"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

//go:embed dist
var dist embed.FS

// built is the page as it was built from page/.
func built() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // a defect of the embedding above
	}
	return sub
}

// policy lets the page have nothing but what is its own.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

// file is one of the page's, ready to be sent.
type file struct {
	plain, zipped []byte
	media, etag   string
}

// page is the page's files by name.
type page struct{ files map[string]file }

func newPage(files fs.FS) *page {
	p := &page{files: map[string]file{}}
	_ = fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		p.files[name] = newFile(name, text)
		return nil
	}) // what is embedded can be read
	return p
}

func newFile(name string, text []byte) file {
	sum := sha256.Sum256(text)
	f := file{plain: text, media: media[path.Ext(name)], etag: hex.EncodeToString(sum[:12])}
	var zipped bytes.Buffer
	w, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // the level is one there is
	_, _ = w.Write(text)
	_ = w.Close() // into memory
	if zipped.Len() < len(text) {
		f.zipped = zipped.Bytes()
	}
	return f
}

// media are the types of what the page is made of; other files are for us. The system's
// own table may have others.
var media = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".txt":  "text/plain; charset=utf-8",
}

// routes are the page itself and its other files, each by its name.
func (p *page) routes() []httpd.Route {
	var routes []httpd.Route
	for name, f := range p.files {
		path := "/" + name
		switch {
		case f.media == "":
			continue
		case name == "index.html":
			path = "/{$}"
		case hashed.MatchString(name):
			path = "/assets/" + name
		}
		routes = append(routes, httpd.Route{Method: "GET", Path: path, Handler: func(w http.ResponseWriter, r *http.Request) error {
			f.send(w, r, name)
			return nil
		}})
	}
	return routes
}

// confine lets a document of ours have what is our own, and be nobody else's.
func confine(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

func (f file) send(w http.ResponseWriter, r *http.Request, name string) {
	h := w.Header()
	confine(h)
	h.Set("Vary", "Accept-Encoding")
	h.Set("Cache-Control", "no-cache") // asked for anew each time, and answered with 304 while it is the same
	if hashed.MatchString(name) {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	body, etag := f.plain, f.etag
	if f.zipped != nil && httpd.TakesGzip(r) {
		body, etag = f.zipped, f.etag+"-gzip"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", f.media)
	h.Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// hashed are the names that the build makes of a hash of the content, so that what they
// name never changes.
var hashed = regexp.MustCompile(`^\w+-[A-Z0-9]{8}\.(js|css)$`)
