package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/cli"
	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/registry/server"
)

// maxComponents is over what any section registers.
const maxComponents = 20_000_000

// serveRegistryCmd is a registry to be measured.
type serveRegistryCmd struct {
	OnlineWindow time.Duration `default:"30s"`
	RemoveAfter  time.Duration `default:"90s"`
}

// Run serves until standard input ends. It logs as rbee-registry does, into nothing.
func (c *serveRegistryCmd) Run(call *cli.Call) error {
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	return serveChild(call, func(ctx context.Context, ln net.Listener) error {
		return server.Run(ctx, ln, server.Config{
			OnlineWindow: c.OnlineWindow, RemoveAfter: c.RemoveAfter, MaxComponents: maxComponents, Log: log,
		})
	})
}

// serveBareCmd is the least that could be done, to be measured beside it.
type serveBareCmd struct{}

// Run serves until standard input ends.
func (serveBareCmd) Run(call *cli.Call) error {
	return serveChild(call, func(ctx context.Context, ln net.Listener) error {
		return httpd.Serve(ctx, ln, newBare().handler(), httpd.ServeOptions{})
	})
}

func freeMemory() { debug.FreeOSMemory() }
