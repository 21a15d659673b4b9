package gui_test

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/rbee-launch/rbee-launch/gui"
	"github.com/rbee-launch/rbee-launch/hive"
)

// A page without a registry, for what is launched on this machine.
func Example() {
	dir, err := os.MkdirTemp("", "gui-example-")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ln, err := net.Listen("tcp", "127.0.0.1:0") // the usual one is 127.0.0.1:5173
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	g, err := gui.New(ctx, gui.Config{Here: hive.Config{
		RuntimeDir: dir + "/run", StateDir: dir + "/state",
		Keeper: func(job string) hive.Command { // a program that runs hive.Launching
			return hive.Command{Path: "/proc/self/exe", Argv: []string{"rbee-keeper", hive.KeepCommand, job}}
		},
	}})
	if err != nil {
		log.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- g.Run(ctx, ln) }()

	resp, err := http.Get("http://" + ln.Addr().String() + "/")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	fmt.Println(resp.Status, resp.Header.Get("Content-Type"))

	stop()
	fmt.Println("ended with", <-done)
	// Output:
	// 200 OK text/html; charset=utf-8
	// ended with <nil>
}
