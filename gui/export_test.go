package gui

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/registry"
)

// Cluster is what is shown, without a server.
type Cluster struct{ c *cluster }

func NewCluster(host string, hold time.Duration) Cluster {
	return Cluster{newCluster("http://box1:7830", host, hold)}
}

func (c Cluster) Learn(v registry.View)      { c.c.learn(v) }
func (c Cluster) Look(list ...launch.Launch) { c.c.look(list) }

// Shown is each component as its JSON has it, by key.
func (c Cluster) Shown() map[string]map[string]any {
	all := map[string]map[string]any{}
	for key, x := range c.c.now(0).shown {
		var fields map[string]any
		if err := json.Unmarshal(x.body, &fields); err != nil {
			panic(err)
		}
		all[key] = fields
	}
	return all
}

// News are what happened and to whom, the oldest first.
func (c Cluster) News() []string {
	var all []string
	for _, h := range c.c.now(0).happenings {
		all = append([]string{h.What + " " + h.Key}, all...)
	}
	return all
}

// Told is the same in the page's words.
func (c Cluster) Told() []string {
	var all []string
	for _, h := range c.c.now(0).happenings {
		all = append([]string{h.What + " " + h.Text}, all...)
	}
	return all
}

// Stream serves the cluster's stream until leaving is closed.
func (c Cluster) Stream(leaving chan struct{}) http.Handler {
	g := &GUI{cluster: c.c, leaving: leaving}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = g.stream(w, r) })
}

// ToWorker is what is passed on to workers.
func (c Cluster) ToWorker() http.Handler {
	g := &GUI{cluster: c.c, transport: transport(nil)}
	return httpd.Routes(nil, []httpd.Route{{Method: "GET", Path: "/api/workers/{id}/v1/models", Handler: g.toWorker}})
}

// Page serves the files of a page.
func Page(files fs.FS) http.Handler {
	return httpd.Routes(nil, newPage(files).routes())
}

// Guarded is the Handler as Run serves it.
func (g *GUI) Guarded(access httpd.Access) http.Handler { return g.guarded(access) }
