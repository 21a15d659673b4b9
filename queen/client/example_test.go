package client_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
	"github.com/rbee-launch/rbee-launch/registry"
)

func Example() {
	srv := httptest.NewServer(queen.New(queen.Config{}).Handler())
	defer srv.Close()
	q, err := client.New(client.Config{URL: srv.URL, SpawnedBy: "gui"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Close()
	ctx := context.Background()
	w := registry.Component{
		Kind: registry.Worker, ID: "worker-llm-8080", Hostname: "localhost", Port: 8080, WorkerType: "llm",
	}
	beat, err := q.Register(ctx, w)
	fmt.Println(beat, err)
	list, err := q.Workers(ctx)
	fmt.Println(list[0].WorkerID, list[0].Status, err)
	// Output:
	// 30s <nil>
	// worker-llm-8080 registered <nil>
}
