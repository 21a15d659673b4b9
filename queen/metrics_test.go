package queen_test

import (
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/registry"
)

func TestMetricsCountWorkersAndHivesByStatus(t *testing.T) {
	t.Parallel()
	reg := startRegistry(t)
	if _, err := registryClient(t, reg).Register(t.Context(), registry.Component{Kind: registry.Hive, ID: "box", Hostname: "127.0.0.1", Port: 1}); err != nil {
		t.Fatal(err)
	}
	url, _ := startQueen(t, queen.Config{RegistryURL: reg})
	for _, id := range []string{"known", "beating"} {
		ask(t, "POST", url+"/v1/queen/register-worker", `{"worker_id":"`+id+`","hostname":"127.0.0.1","port":1,"worker_type":"llm"}`)
	}
	ask(t, "POST", url+"/v1/queen/heartbeat", `{"worker_id":"beating"}`)
	want := []string{
		"rbee_queen_workers{status=\"registered\"} 1\n", "rbee_queen_workers{status=\"online\"} 1\n", "rbee_queen_workers{status=\"offline\"} 0\n",
		"rbee_queen_hives{status=\"registered\"} 0\n", "rbee_queen_hives{status=\"online\"} 1\n", "rbee_queen_hives{status=\"offline\"} 0\n",
		"\ngo_goroutines ",
	}
	text := get(t, url+"/metrics")
	for deadline := time.Now().Add(20 * time.Second); !containsAll(text, want...); text = get(t, url+"/metrics") {
		if time.Now().After(deadline) {
			t.Fatalf("some of %q are never in\n%s", want, text)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
