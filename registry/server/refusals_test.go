package server_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rbee-launch/rbee-launch/registry/server"
)

func TestBadMessages(t *testing.T) {
	a := newAPI(t, server.Config{})
	long := func(n int) string { return strings.Repeat("x", n) }
	for _, tt := range []struct {
		name, body string
		status     int
		field      string
	}{
		{"no JSON", `{"worker_id":`, 400, ""},
		{"nothing", ``, 400, ""},
		{"two values", `{} {}`, 400, ""},
		{"no object", `["w"]`, 422, ""},
		{"null", `null`, 422, "component_type"},
		{"no type", `{"component_id":"w","hostname":"h","port":1}`, 422, "component_type"},
		{"an empty worker_id", `{"worker_id":"","hostname":"h","port":1}`, 422, "worker_id"},
		{"an empty hive_id", `{"hive_id":"","hostname":"h","port":1}`, 422, "hive_id"},
		{"null for a worker_id", `{"worker_id":null,"hostname":"h","port":1}`, 422, "component_type"},
		{"unheard-of type", `{"component_type":"bee","component_id":"w","hostname":"h","port":1}`, 422, "component_type"},
		{"no id", `{"component_type":"worker","hostname":"h","port":1}`, 422, "component_id"},
		{"two ids", `{"component_id":"a","worker_id":"b","hostname":"h","port":1}`, 422, "worker_id"},
		{"long id", `{"worker_id":"` + long(129) + `","hostname":"h","port":1}`, 422, "component_id"},
		{"long instance", `{"worker_id":"w","instance_id":"` + long(129) + `","hostname":"h","port":1}`, 422, "instance_id"},
		{"newline in id", `{"worker_id":"a\nb","hostname":"h","port":1}`, 422, "component_id"},
		{"NUL in instance", `{"worker_id":"w","instance_id":"\u0000","hostname":"h","port":1}`, 422, "instance_id"},
		{"escape in type", `{"worker_id":"w","worker_type":"\u001b[2J","hostname":"h","port":1}`, 422, "worker_type"},
		{"no host", `{"worker_id":"w","port":1}`, 422, "hostname"},
		{"host and more", `{"worker_id":"w","hostname":"a@127.0.0.1:9000/?","port":1}`, 422, "hostname"},
		{"no port", `{"worker_id":"w","hostname":"h"}`, 422, "port"},
		{"port 65536", `{"worker_id":"w","hostname":"h","port":65536}`, 422, "port"},
		{"port -1", `{"worker_id":"w","hostname":"h","port":-1}`, 422, "port"},
		{"port in words", `{"worker_id":"w","hostname":"h","port":"8080"}`, 422, "port"},
		{"half a port", `{"worker_id":"w","hostname":"h","port":80.5}`, 422, "port"},
		{"model a number", `{"worker_id":"w","hostname":"h","port":1,"metadata":{"model":7}}`, 422, "metadata.model"},
		{"much metadata", `{"worker_id":"w","hostname":"h","port":1,"metadata":{"x":"` + long(17<<10) + `"}}`, 422, "metadata"},
		{"large body", `{"worker_id":"w","hostname":"h","port":1,"x":"` + long(64<<10) + `"}`, 413, ""},
		{"larger body", `{"worker_id":"w","x":"` + long(2<<20) + `"}`, 413, ""},
		{"large batch", `{"components":["` + long(1<<20) + `"]}`, 413, ""},
		{"batch no list", `{"components":7}`, 422, "components"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := api{t, a.h}.post("register", tt.body)
			p := api{t, a.h}.want(tt.status, r)
			if field, _ := p["field"].(string); field != tt.field || p["code"] == "" {
				t.Errorf("the problem is %v, want field %q", p, tt.field)
			}
			if ct := r.header.Get("Content-Type"); ct != "application/problem+json" {
				t.Errorf("its type is %s", ct)
			}
		})
	}
	a.want(422, a.post("heartbeat", `{"component_type":"worker"}`))
	a.want(422, a.unregister(`{}`))
	if got := a.ids("workers"); got != "" {
		t.Errorf("refused registrations left %q", got)
	}
}

func TestTheLimitsThemselvesAreTaken(t *testing.T) {
	a := newAPI(t, server.Config{})
	a.want(200, a.post("register", `{"worker_id":"`+strings.Repeat("x", 128)+`","hostname":"h","port":65535}`))
	var parts []string // over 64 KiB together
	for i := range 1000 {
		parts = append(parts, fmt.Sprintf(`{"worker_id":"w%03d","hostname":"h","port":1,"model":%q}`, i, strings.Repeat("m", 100)))
	}
	r := a.want(200, a.post("register", `{"components":[`+strings.Join(parts, ",")+`]}`))
	if n := len(r["registered"].([]any)); n != 1000 {
		t.Errorf("of a batch of 1000, %d were registered", n)
	}
}

func TestAFullRegistryKeepsWhomItKnows(t *testing.T) {
	a := newAPI(t, server.Config{MaxComponents: 1})
	a.want(200, a.post("register", `{"worker_id":"a","hostname":"h","port":1}`))
	if p := a.want(503, a.post("register", `{"worker_id":"b","hostname":"h","port":2}`)); p["code"] != "registry_full" {
		t.Errorf("the problem is %v", p)
	}
	a.want(200, a.post("register", `{"worker_id":"a","hostname":"h","port":3}`))
	a.want(200, a.unregister(`{"worker_id":"a"}`))
	a.want(200, a.post("register", `{"worker_id":"b","hostname":"h","port":2}`))
}

// Instances made in this order.
const (
	first  = "01JD0000000000000000000000"
	second = "01JD0000010000000000000000"
)

func TestOneLifeCantSpeakForAnother(t *testing.T) {
	a := newAPI(t, server.Config{})
	life := func(instance string) string {
		return fmt.Sprintf(`{"worker_id":"w","instance_id":%q,"hostname":"h","port":1}`, instance)
	}
	a.want(200, a.post("register", life(first)))
	a.want(200, a.post("heartbeat", life(first)))
	a.want(200, a.post("register", life(second)))
	for name, r := range map[string]reply{
		"heartbeat":    a.post("heartbeat", life(first)),
		"unregister":   a.unregister(life(first)),
		"registration": a.post("register", life(first)),
	} {
		if p := a.want(409, r); p["code"] != "superseded" {
			t.Errorf("%s of the old life: %v", name, p)
		}
	}
	a.want(200, a.post("heartbeat", life(second)))
	a.want(200, a.post("heartbeat", `{"worker_id":"w"}`)) // who names no life speaks for the one there is
	a.want(200, a.unregister(life(second)))
}

func TestNamesThatDoNotSortSupersedeInTheOrderTheyCome(t *testing.T) {
	a := newAPI(t, server.Config{})
	for _, instance := range []string{"run-2", "run-1"} {
		a.want(200, a.post("register", fmt.Sprintf(`{"worker_id":"w","instance_id":%q,"hostname":"h","port":1}`, instance)))
	}
	a.want(409, a.post("heartbeat", `{"worker_id":"w","instance_id":"run-2"}`))
}

func TestASecondQueenIsRefused(t *testing.T) {
	a := newAPI(t, server.Config{})
	queen := func(id string, port int) string {
		return fmt.Sprintf(`{"component_type":"queen","component_id":%q,"hostname":"box","port":%d}`, id, port)
	}
	a.want(200, a.post("register", queen("one", 7833)))
	p := a.want(409, a.post("register", queen("two", 7834)))
	if detail := p["detail"].(string); p["code"] != "queen_conflict" || !strings.Contains(detail, "one at box:7833") {
		t.Errorf("the problem does not name the first: %v", p)
	}
	a.want(409, a.post("register", queen("one", 7834))) // one name, but neither its instance nor its address
	a.want(200, a.post("register", queen("one", 7833)))
	a.want(200, a.unregister(queen("one", 7833)))
	a.want(200, a.post("register", queen("two", 7834)))
}
