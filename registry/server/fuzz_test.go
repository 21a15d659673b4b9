package server_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// holdWell fails when the registry answers with its own failure, with what is no JSON, or
// lists what does not decode.
func holdWell(t *testing.T, a api, r reply) {
	t.Helper()
	if r.status >= 500 || !json.Valid(r.body) {
		t.Fatalf("the answer is %d %s", r.status, r.body)
	}
	var all registry.Snapshot
	if err := json.Unmarshal(a.get("components").body, &all); err != nil {
		t.Fatalf("the list does not decode: %v", err)
	}
}

func FuzzMessages(f *testing.F) {
	for _, seed := range []string{
		`{"component_type":"worker","component_id":"w","hostname":"localhost","port":8080,"metadata":{"worker_type":"llm"}}`,
		`{"worker_id":"w","hostname":"h","port":1}`, `{"hive_id":"w"}`, `{"component_type":"queen","hostname":"h","port":1}`,
		`{"components":[{"worker_id":"a","hostname":"h","port":1},{"worker_id":"b","port":"x"},7,null]}`,
		`{"components":null,"worker_id":"w"}`, `{"components":7}`, `{"components":[]}`, `{"worker_id":"status\":\"online","hostname":"\",\"last_seen\":\"","port":2}`,
		`[]`, `{} {}`, "\xff", ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		a := newAPI(t, server.Config{})
		for range 2 {
			holdWell(t, a, a.post("register", string(body)))
			holdWell(t, a, a.post("heartbeat", string(body)))
		}
		holdWell(t, a, a.unregister(string(body)))
	})
}

func FuzzQueries(f *testing.F) {
	for _, seed := range []string{
		"worker_type=llm&model=m&status=online&hive=h", "metadata.zone=a&metadata.=b&metadata.n=8", "limit=1&after=a",
		"limit=-1", "limit=99999999999999999999", "component_type=queen", "status=asleep", "%zz", "after=%00&limit=2;x",
	} {
		f.Add(seed)
	}
	a := api{nil, server.New(server.Config{OnlineWindow: 24 * time.Hour}).Handler()}
	for _, body := range []string{
		`{"worker_id":"a","hostname":"h","port":1,"model":"m","metadata":{"zone":"a","n":8}}`, `{"worker_id":"b","hostname":"h","port":1}`,
	} {
		a.h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/v1/registry/register", strings.NewReader(body)))
	}
	f.Fuzz(func(t *testing.T, query string) {
		a := api{t, a.h}
		for _, path := range []string{"workers", "hives", "components", "watch"} {
			r := httptest.NewRequest("GET", "/v1/registry/"+path, nil)
			if r.URL.RawQuery = query; path == "watch" {
				r.URL.RawQuery = "wait=0s&" + query // the first counts, and others would take minutes
			}
			w := httptest.NewRecorder()
			a.h.ServeHTTP(w, r)
			holdWell(t, a, reply{w.Code, w.Header(), w.Body.Bytes()})
		}
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add("gzip, br;q=0.5", `"a.1", W/"b.2"`, "a.1")
	f.Add("gzip;q=0", "*", "")
	f.Add("*;q=1.0001,", `"`, "18446744073709551616")
	a := api{nil, server.New(server.Config{OnlineWindow: 24 * time.Hour}).Handler()}
	f.Fuzz(func(t *testing.T, accept, match, since string) {
		a := api{t, a.h}
		r := httptest.NewRequest("GET", "/v1/registry/watch?wait=0s", nil)
		q := r.URL.Query()
		q.Set("since", since)
		r.URL.RawQuery = q.Encode()
		w := httptest.NewRecorder()
		a.h.ServeHTTP(w, r)
		holdWell(t, a, reply{w.Code, w.Header(), w.Body.Bytes()})
		if got := a.get("components", "Accept-Encoding", accept, "If-None-Match", match); got.status != 200 && got.status != 304 {
			t.Errorf("status %d: %s", got.status, got.body)
		}
	})
}
