package ports

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strconv"
	"syscall"
)

// probe binds port for an instant wherever a server might, and returns errInUse
// when another socket has it.
func probe(ctx context.Context, port int) error {
	lingering := false
	for _, at := range []struct{ network, host string }{
		{"tcp4", "127.0.0.1"}, {"tcp6", "::1"}, {"tcp4", "0.0.0.0"}, {"tcp6", "::"},
	} {
		addr := net.JoinHostPort(at.host, strconv.Itoa(port))
		err := bind(ctx, net.ListenConfig{Control: refuseReuse}, at.network, addr)
		if errors.Is(err, syscall.EADDRINUSE) {
			// A real server sets SO_REUSEADDR. Where that makes the difference, the port
			// may be held by closed connections alone.
			lingering = true
			err = bind(ctx, net.ListenConfig{}, at.network, addr)
		}
		switch {
		case err == nil:
		case errors.Is(err, syscall.EADDRINUSE):
			return errInUse
		case at.network == "tcp6" && noIPv6(err):
		case errors.Is(err, fs.ErrPermission) && port < 1024:
			return fmt.Errorf("ports below 1024 are for privileged programs: %w", err)
		default:
			return fmt.Errorf("probe the port: %w", err)
		}
	}
	if lingering && !onlyClosed(ctx, port) {
		return errInUse
	}
	return nil
}

func bind(ctx context.Context, lc net.ListenConfig, network, addr string) error {
	ln, err := lc.Listen(ctx, network, addr)
	if err != nil {
		return err
	}
	return ln.Close()
}

func noIPv6(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)
}
