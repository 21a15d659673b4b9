package dial_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rbee-launch/rbee-launch/internal/dial"
)

// link switches the one interface of the network that the thread is in.
func link(state string) error {
	if out, err := exec.Command("ip", "link", "set", "lo", state).CombinedOutput(); err != nil {
		return fmt.Errorf("ip link set lo %s: %w: %s", state, err, out)
	}
	return nil
}

// inANetwork calls do in a network that leads nowhere. Sockets stay in the one that they are made
// in, and the thread ends with the goroutine that has locked it.
func inANetwork(t *testing.T, do func()) {
	t.Helper()
	var failed error
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if failed = unix.Unshare(unix.CLONE_NEWNET); failed == nil {
			failed = link("up")
		}
		if failed == nil {
			do()
		}
	}()
	<-done
	if failed != nil {
		t.Skipf("there is no network to be had (it takes root and iproute2): %v", failed)
	}
}

// pair is a connection that d makes, and its other end.
func pair(t *testing.T, d dial.Dialer) (ours, theirs net.Conn, err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, nil, err
	}
	defer ln.Close()
	if ours, err = d.DialContext(t.Context(), "tcp", ln.Addr().String()); err != nil {
		return nil, nil, err
	}
	theirs, err = ln.Accept()
	return ours, theirs, err
}

// TestCut: what was sent is acknowledged by nobody, and whoever waits for the answer is told.
func TestCut(t *testing.T) {
	t.Parallel()
	var ours, theirs net.Conn
	var err error
	inANetwork(t, func() {
		if ours, theirs, err = pair(t, dial.Dialer{Unheard: 250 * time.Millisecond}); err == nil {
			err = link("down")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	defer ours.Close()
	if _, err := ours.Write([]byte("are you there?")); err != nil {
		t.Fatal(err)
	}
	if err := ours.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil { // so that the test ends
		t.Fatal(err)
	}
	_, err = ours.Read(make([]byte, 1))
	var timeout net.Error
	want := theirs.LocalAddr().String() + " has acknowledged nothing for 250ms: its machine, or the way to it, is gone"
	if !errors.As(err, &timeout) || !timeout.Timeout() || err.Error() != want {
		t.Errorf("read: %v", err)
	}
	if _, err := ours.Write([]byte("hello?")); err == nil || err.Error() != want {
		t.Errorf("write: %v", err)
	}
}

// TestNoRoom: a server that reads nothing while it is busy is there all the same.
func TestNoRoom(t *testing.T) {
	t.Parallel()
	ours, theirs, err := pair(t, dial.Dialer{Unheard: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	const size = 32 << 20 // more than the kernel takes
	written := make(chan error, 1)
	go func() {
		_, err := ours.Write(make([]byte, size))
		written <- errors.Join(err, ours.Close())
	}()
	time.Sleep(time.Second) // it is busy
	n, err := io.Copy(io.Discard, theirs)
	if err := errors.Join(err, <-written); err != nil || n != size {
		t.Errorf("%d bytes have come: %v", n, err)
	}
}

// TestSilence: nothing is said for long, and then it is.
func TestSilence(t *testing.T) {
	t.Parallel()
	ours, theirs, err := pair(t, dial.Dialer{Unheard: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	defer theirs.Close()
	time.AfterFunc(500*time.Millisecond, func() { _, _ = theirs.Write([]byte("x")) })
	if _, err := ours.Read(make([]byte, 1)); err != nil {
		t.Error(err)
	}
}
