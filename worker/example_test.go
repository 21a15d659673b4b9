package worker_test

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/rbee-launch/rbee-launch/worker"
)

func Example() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error)
	go func() { done <- worker.New(worker.Config{Model: "llama-3.2-1b"}).Run(ctx, ln) }()

	resp, err := http.Get("http://" + ln.Addr().String() + "/capabilities")
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	stop()
	fmt.Println(resp.Status, <-done)
	// Output: 200 OK <nil>
}
