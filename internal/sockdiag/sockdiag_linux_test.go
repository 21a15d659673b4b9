package sockdiag

import (
	"net"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// What netlink says and what /proc says must agree, on real sockets in several
// states.
func TestNetlinkAgreesWithProc(t *testing.T) {
	for network, addr := range map[string]string{"tcp4": "127.0.0.1:0", "tcp6": "[::1]:0"} {
		t.Run(network, func(t *testing.T) {
			ln, err := net.Listen(network, addr)
			if err != nil {
				t.Skip("no such family here:", err)
			}
			defer ln.Close()
			port := ln.Addr().(*net.TCPAddr).Port
			client, err := net.Dial(network, ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			server, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()

			asked, err := OnPort(port)
			if err != nil {
				t.Fatal(err)
			}
			read, err := fromProc(port, every)
			if err != nil {
				t.Fatal(err)
			}
			byInode := func(a, b Socket) int { return int(a.Inode) - int(b.Inode) }
			slices.SortFunc(asked, byInode)
			slices.SortFunc(read, byInode)
			if len(asked) != 2 || !slices.Equal(asked, read) {
				t.Errorf("netlink says %v, /proc says %v", asked, read)
			}
			listeners, err := OnPort(port, Listen)
			if err != nil || len(listeners) != 1 || listeners[0].State != Listen {
				t.Errorf("listeners: %v, %v", listeners, err)
			}
		})
	}
}

func TestClosedConnectionsShow(t *testing.T) {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().(*net.TCPAddr).Port
	client, err := net.Dial("tcp4", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	// The server closes first, so that its end is the one that lingers.
	for _, c := range []interface{ Close() error }{server, client, ln} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	asked, err := OnPort(port)
	if err != nil {
		t.Fatal(err)
	}
	if len(asked) != 1 || !slices.Contains([]State{FinWait1, FinWait2, TimeWait}, asked[0].State) {
		t.Errorf("on port %d: %v", port, asked)
	}
}

func TestBoundSocketsShow(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	found, err := OnPort(name.(*unix.SockaddrInet4).Port)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Skip("this kernel does not show them (Linux 6.8 does)")
	}
	if len(found) != 1 || found[0].State != Bound || found[0].Inode == 0 {
		t.Errorf("a bound socket shows as %v", found)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(request(2, 80, every), uint16(80))
	f.Add([]byte{16, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, uint16(1))
	f.Fuzz(func(_ *testing.T, msgs []byte, port uint16) {
		_, _, _ = read(msgs, port) // whatever comes, it ends and does not panic
	})
}

func BenchmarkListeners(b *testing.B) {
	b.Run("netlink", func(b *testing.B) {
		for b.Loop() {
			if _, err := OnPort(8080, Listen); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("proc", func(b *testing.B) {
		for b.Loop() {
			if _, err := fromProc(8080, 1<<Listen); err != nil {
				b.Fatal(err)
			}
		}
	})
}
