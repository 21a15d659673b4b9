package queen_test

import (
	"context"
	"fmt"
	"net"

	"github.com/rbee-launch/rbee-launch/queen"
	"github.com/rbee-launch/rbee-launch/queen/client"
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
	go func() { done <- queen.New(queen.Config{}).Run(ctx, ln) }()

	q, err := client.New(client.Config{URL: "http://" + ln.Addr().String()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer q.Close()
	list, err := q.Workers(ctx)
	fmt.Println(len(list), "workers", err)
	stop()
	fmt.Println(<-done)
	// Output:
	// 0 workers <nil>
	// <nil>
}
