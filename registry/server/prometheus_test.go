package server_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rbee-launch/rbee-launch/registry/server"
)

const targetsPath = "prometheus-sd"

func TestTargetsForPrometheus(t *testing.T) {
	t.Parallel()
	a := newAPI(t, server.Config{})
	if got := string(a.get(targetsPath).body); got != "[]\n" {
		t.Errorf("nobody is %q", got)
	}
	for _, body := range []string{
		`{"worker_id":"b","instance_id":"i","hostname":"h","port":8081,"worker_type":"llm","model":"m \"1\"",
			"metadata":{"zone":"a","gpu":2,"spot":true,"a.b":"second","a-b":"first","größe":"x","tags":["x"],"none":null,"empty":""}}`,
		`{"worker_id":"a","hostname":"::1","port":8080,"metadata":{"metrics_path":"/prom","scheme":"https"}}`,
		`{"worker_id":"none","hostname":"h","port":8082,"metadata":{"metrics_path":""}}`,
		`{"component_type":"gui","hostname":"h","port":5173}`,
		`{"component_type":"queen","hostname":"fe80::1","port":7833,"metadata":{"metrics_path":7}}`,
	} {
		a.want(200, a.post("register", body))
	}
	const (
		queen = `{"targets":["[fe80::1]:7833"],"labels":{"__meta_rbee_component_id":"queen","__meta_rbee_component_type":"queen",` +
			`"__meta_rbee_metadata_metrics_path":"7","__meta_rbee_status":"online"}}`
		first = `{"targets":["[::1]:8080"],"labels":{"__meta_rbee_component_id":"a","__meta_rbee_component_type":"worker",` +
			`"__meta_rbee_metadata_metrics_path":"/prom","__meta_rbee_metadata_scheme":"https","__meta_rbee_status":"online",` +
			`"__metrics_path__":"/prom","__scheme__":"https"}}`
		second = `{"targets":["h:8081"],"labels":{"__meta_rbee_component_id":"b","__meta_rbee_component_type":"worker",` +
			`"__meta_rbee_instance_id":"i","__meta_rbee_metadata_a_b":"first","__meta_rbee_metadata_gpu":"2",` +
			`"__meta_rbee_metadata_gr__e":"x","__meta_rbee_metadata_spot":"true","__meta_rbee_metadata_zone":"a",` +
			`"__meta_rbee_model":"m \"1\"","__meta_rbee_status":"online","__meta_rbee_worker_type":"llm"}}`
	)
	for query, want := range map[string]string{
		"":                       "[" + queen + "," + first + "," + second + "]\n",
		"?component_type=queen":  "[" + queen + "]\n",
		"?model=m%20%221%22":     "[" + second + "]\n",
		"?metadata.zone=a":       "[" + second + "]\n",
		"?status=offline":        "[]\n",
		"?component_type=worker": "[" + first + "," + second + "]\n",
		"?component_type=gui":    "[]\n",
	} {
		r := a.get(targetsPath + query)
		if got := string(r.body); r.status != http.StatusOK || got != want {
			t.Errorf("%q: %d\n%s, want\n%s", query, r.status, got, want)
		}
		if kind := r.header.Get("Content-Type"); kind != "application/json" { // Prometheus takes no other
			t.Errorf("%q is %s", query, kind)
		}
		if again := a.get(targetsPath+query, "If-None-Match", r.header.Get("ETag")); again.status != http.StatusNotModified {
			t.Errorf("%q: what is known is answered with %d", query, again.status)
		}
	}
	for _, query := range []string{"?status=asleep", "?component_type=dog", "?limit=1", "?after=a"} {
		a.want(422, a.get(targetsPath+query))
	}
}

// Prometheus is told of the offline, too.
func TestTargetsThatAreOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := running(t, server.Config{})
		a.want(200, a.post("register", `{"worker_id":"a","hostname":"h","port":1}`))
		a.get(targetsPath)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		const want = `[{"targets":["h:1"],"labels":{"__meta_rbee_component_id":"a","__meta_rbee_component_type":"worker",` +
			`"__meta_rbee_status":"offline"}}]` + "\n"
		if got := string(a.get(targetsPath).body); got != want {
			t.Errorf("a silent worker is\n%s, want\n%s", got, want)
		}
	})
}
