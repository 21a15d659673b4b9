package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// engineName is a model server that is of use to tests alone, and profiles are the engines
// that it is.
const (
	engineName = "rbee-test-engine"
	profiles   = `
engines:
  - name: failing
    types: [llm]
    explicit: true
    programs: [{run: rbee-test-engine}]
    args: [--fail]
    model: {needed: false, kinds: [any]}
    ready: {path: /health}
  - name: silent
    types: [llm]
    explicit: true
    programs: [{run: rbee-test-engine}]
    args: [--silent]
    model: {needed: false, kinds: [any]}
    ready: {path: /health}
    stop: {signal: SIGTERM, grace: 5s}
  - name: chatty
    types: [llm]
    explicit: true
    programs: [{run: rbee-test-engine}]
    args: [[--port, "{port}"], [--lines, "1667"]]
    model: {needed: false, kinds: [any]}
    ready: {path: /health}
    stop: {signal: SIGTERM, grace: 5s}
  - name: parrot
    types: [llm]
    explicit: true
    programs: [{run: rbee-test-engine}]
    args: [[--port, "{port}"]]
    model: {needed: false, kinds: [any]}
    ready: {path: /health}
    stop: {signal: SIGTERM, grace: 5s}
`
)

// engine is its main: it fails, or answers as a parrot, and prints so many lines a second.
func engine() {
	fail := flag.Bool("fail", false, "")
	silent := flag.Bool("silent", false, "answer nobody")
	port := flag.Int("port", 0, "")
	lines := flag.Int("lines", 0, "a second")
	flag.Parse()
	if *fail {
		fmt.Println("\x1b[1mreading\x1b[0m the model")
		fmt.Fprintln(os.Stderr, "there is \x1b[31ma hole\x1b[0m in the model")
		os.Exit(3)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	if *silent {
		fmt.Println("\x1b[1mreading\x1b[0m the model")
		<-ctx.Done()
		return
	}
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", *port))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() { _ = http.Serve(ln, http.HandlerFunc(parrot)) }()
	const often = 20 // a second
	tick := time.NewTicker(time.Second / often)
	defer tick.Stop()
	for n := 0; ; {
		for range *lines / often {
			n++
			fmt.Printf("\x1b[32mslot %d\x1b[0m: token %d, 23.4 tokens a second, and some more words to make it a line as they are\n", n%8, n)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}
