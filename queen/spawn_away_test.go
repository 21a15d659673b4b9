package queen_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// TestSpawnWithoutTheRegistry: hives beat to the registry alone. While it is away those that
// were known have their turn, whatever silence says of them, also with a queen who came later.
func TestSpawnWithoutTheRegistry(t *testing.T) {
	t.Parallel()
	reg, stopRegistry := run(t, func(ctx context.Context, ln net.Listener) error { return server.Run(ctx, ln, server.Config{}) })
	newMachine(t, reg, "here", 8<<30, succeeds)
	gone := newMachine(t, reg, "gone", 64<<30, succeeds)
	cfg := queen.Config{RegistryURL: reg, OfflineAfter: 3 * time.Second, CacheDir: t.TempDir()}
	first := queenOver(t, cfg, 2)
	stopRegistry()
	gone.srv.Listener.Close()
	eventually(t, "the hives are offline", func() bool { return strings.Count(get(t, first+"/v1/queen/hives"), `"status":"offline"`) == 2 })
	second := queenOver(t, cfg, 2)
	for _, url := range []string{first, second} {
		for _, body := range []string{`{"model":"tiny"}`, `{"model":"tiny","hive_id":"here"}`} {
			if _, end := spawn(t, url, body); end.HiveID != "here" || !strings.Contains(end.Why, "hive here was asked for") && !strings.Contains(end.Why, "; the registry is away, and the hive answers where it was last") {
				t.Errorf("%s: it ended as %+v", body, end)
			}
		}
		status, _, answer := ask(t, "POST", url+"/v1/queen/spawn-worker", `{"model":"tiny","hive_id":"gone"}`)
		if detail, _ := answer["detail"].(string); status != 503 || answer["code"] != client.CodeNoHive || !containsAll(detail, "gone: the registry is away, and where the hive was last", "refused") {
			t.Errorf("the hive that is gone, too: %d %v", status, answer)
		}
	}
	nobody, _ := startQueen(t, queen.Config{RegistryURL: reg})
	status, _, answer := ask(t, "POST", nobody+"/v1/queen/spawn-worker", `{"model":"tiny"}`)
	if detail, _ := answer["detail"].(string); status != 503 || !strings.Contains(detail, "the registry is away, and no hive is known") {
		t.Errorf("without any hive: %d %v", status, answer)
	}
}

// TestSpawnAbsentHives: with the registry, its word about who is there holds, and is said as
// a sentence.
func TestSpawnAbsentHives(t *testing.T) {
	t.Parallel()
	reg, _ := run(t, func(ctx context.Context, ln net.Listener) error {
		return server.Run(ctx, ln, server.Config{OnlineWindow: 100 * time.Millisecond, RemoveAfter: time.Hour})
	})
	newMachine(t, reg, "box", 8<<30, succeeds)
	url := queenOver(t, queen.Config{RegistryURL: reg}, 1)
	eventually(t, "it is offline", func() bool { return strings.Contains(get(t, url+"/v1/queen/hives"), `"status":"offline"`) })
	status, _, answer := ask(t, "POST", url+"/v1/queen/spawn-worker", `{"model":"tiny"}`)
	if detail, _ := answer["detail"].(string); status != 503 || !strings.Contains(detail, "box: it is offline: nothing has been heard of it for ") {
		t.Errorf("%d %v", status, answer)
	}
}
