package gui

import (
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
)

// coalesce is between two looks of a page at what has changed: a hundred changes at once
// are one for it.
const coalesce = 100 * time.Millisecond

type hello struct {
	Version  string `json:"version"`
	Hostname string `json:"hostname"`
	Here     string `json:"here"`
	Queen    string `json:"queen"`
	// Time is this server's, by which the page reckons ages: a browser's clock may be another.
	Time time.Time `json:"time"`
}

type clusterEvent struct {
	Registry   standing          `json:"registry"`
	Components []json.RawMessage `json:"components"`
}

type changedEvent struct {
	Registry *standing         `json:"registry,omitempty"`
	Upsert   []json.RawMessage `json:"upsert"`
	Remove   []string          `json:"remove"`
}

// stream tells a page everything, and then what changes, until it goes or we do.
func (g *GUI) stream(w http.ResponseWriter, r *http.Request) error {
	st := &pageStream{to: httpd.NewEvents(w)}
	if r.Method == http.MethodHead {
		return nil // else it would go on for ever, unheard
	}
	if st.to.SendJSON("hello", hello{g.cfg.Version, g.hostname, hereBase, queenBase, time.Now().UTC()}) != nil {
		return nil
	}
	quiet := time.NewTicker(httpd.EventsAlive)
	defer quiet.Stop()
	for {
		now := g.cluster.now(st.happened)
		if st.tell(now) != nil {
			return nil
		}
		select {
		case <-now.grown:
		case <-quiet.C:
			if st.to.Alive() != nil {
				return nil
			}
			continue
		case <-g.leaving:
			_ = st.to.SendJSON("bye", map[string]string{"detail": "the server is going: come back"}) // it may be gone itself
			return nil
		case <-r.Context().Done():
			return nil
		}
		select { // what comes meanwhile goes along
		case <-time.After(coalesce):
		case <-r.Context().Done():
			return nil
		case <-g.leaving:
		}
	}
}

// pageStream is how much one page was told. An error of its methods means that it is gone.
type pageStream struct {
	to       httpd.Events
	begun    bool
	shown    map[string]*component
	standing standing
	happened int
}

func (st *pageStream) tell(now picture) error {
	var err error
	if !st.begun {
		err = st.to.SendJSON("cluster", clusterEvent{now.standing, sorted(now.shown)})
	} else if change, any := st.change(now); any {
		err = st.to.SendJSON("changed", change)
	}
	if err == nil && (len(now.happenings) > 0 || !st.begun) {
		err = st.to.SendJSON("happened", now.happenings)
	}
	st.begun, st.shown, st.standing, st.happened = true, now.shown, now.standing, now.happened
	return err
}

// change is what is other than what was told.
func (st *pageStream) change(now picture) (c changedEvent, any bool) {
	c.Upsert, c.Remove = []json.RawMessage{}, []string{}
	for key, x := range now.shown {
		if st.shown[key] != x {
			c.Upsert = append(c.Upsert, x.body)
		}
	}
	for key := range st.shown {
		if now.shown[key] == nil {
			c.Remove = append(c.Remove, key)
		}
	}
	slices.Sort(c.Remove)
	if now.standing != st.standing {
		c.Registry = &now.standing
	}
	return c, c.Registry != nil || len(c.Upsert) > 0 || len(c.Remove) > 0
}
