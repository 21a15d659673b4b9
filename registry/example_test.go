package registry_test

import (
	"context"
	"fmt"
	"log"
	"net/http/httptest"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

func Example() {
	daemon := httptest.NewServer(server.New(server.Config{}).Handler()) // usually a rbee-registry
	defer daemon.Close()

	client, err := registry.NewClient(registry.Config{URL: daemon.URL})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx, stop := context.WithCancel(context.Background())
	registered := make(chan registry.State, 8)
	done := make(chan struct{})
	go func() {
		defer close(done)
		(&registry.Announcement{
			To: client,
			Component: registry.Component{
				Kind: registry.Worker, ID: "worker-llm-8080", InstanceID: "01JD0000000000000000000000",
				Hostname: "localhost", Port: 8080, WorkerType: "llm", Model: "llama-3.2-1b",
			},
			OnState: func(s registry.State) { registered <- s },
		}).Run(ctx)
	}()
	fmt.Println("registered:", (<-registered).Registered)

	workers, err := client.Workers(ctx, registry.Filter{Model: "llama-3.2-1b"})
	if err != nil {
		log.Fatal(err)
	}
	for _, w := range workers.Value {
		fmt.Printf("%s is %s at %s:%d\n", w.ID, w.Status, w.Hostname, w.Port)
	}
	stop()
	<-done // unregistered
	// Output:
	// registered: true
	// worker-llm-8080 is online at localhost:8080
}
