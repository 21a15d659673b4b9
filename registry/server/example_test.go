package server_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/rbee-launch/rbee-launch/registry"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

func Example() {
	ln, err := net.Listen("tcp", "127.0.0.1:0") // the usual one is 0.0.0.0:7830
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- server.Run(ctx, ln, server.Config{}) }()

	client, err := registry.NewClient(registry.Config{URL: "http://" + ln.Addr().String()})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	beat, err := client.Register(ctx, registry.Component{Kind: registry.Hive, ID: "box", Hostname: "localhost", Port: 7835})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("heartbeat every", beat)

	stop()
	fmt.Println("ended with", <-done)
	// Output:
	// heartbeat every 15s
	// ended with <nil>
}
