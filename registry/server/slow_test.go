package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rbee-launch/rbee-launch/registry/server"
)

// These tests are of clients that are slow, or want the registry no good, over real
// sockets. Where a client is to be cut, the time that it has is short; how long it takes
// is not looked at.

// longest is how long a test waits for what is to happen.
const longest = time.Minute

// narrow is a listener whose connections, from a moment on, hold next to nothing, so that
// a client which does not read is felt at once. It tells of each that the server has closed.
type narrow struct {
	net.Listener
	from   *atomic.Bool
	closed chan string // the clients' addresses
}

func newNarrow(t *testing.T) narrow {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return narrow{ln, new(atomic.Bool), make(chan string, 1000)}
}

// Accept is net.Listener's.
func (n narrow) Accept() (net.Conn, error) {
	conn, err := n.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if n.from.Load() {
		err = conn.(*net.TCPConn).SetWriteBuffer(4 << 10)
	}
	return narrowConn{conn, sync.OnceFunc(func() { n.closed <- conn.RemoteAddr().String() })}, err
}

type narrowConn struct {
	net.Conn
	tell func()
}

// Close is net.Conn's.
func (c narrowConn) Close() error {
	defer c.tell()
	return c.Conn.Close()
}

// waitClosed waits until the server has closed its end of conn.
func (n narrow) waitClosed(t *testing.T, conn net.Conn) {
	t.Helper()
	limit := time.NewTimer(longest)
	defer limit.Stop()
	for {
		select {
		case addr := <-n.closed:
			if addr == conn.LocalAddr().String() {
				return
			}
		case <-limit.C:
			t.Fatal("the server does not close the connection")
		}
	}
}

// connect is a client that can do what it should not.
func connect(t *testing.T, url, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(longest)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

// fill registers workers of about a megabyte.
func fill(t *testing.T, client *http.Client, url string) {
	t.Helper()
	for i := range 65 { // one by one, so that each answer is taken at any pace
		worker := fmt.Sprintf(`{"worker_id":"w%d","hostname":"h","port":1,"metadata":{"x":%q}}`, i, strings.Repeat("x", 15<<10))
		if err := post(client, url+"/v1/registry/register", worker); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestHalfARequestIsCutOff(t *testing.T) {
	t.Parallel()
	const short = 300 * time.Millisecond
	for _, test := range []struct {
		name, text string
		cfg        server.Config
		answer     string // how it begins
	}{
		{"nothing", "", server.Config{HeaderTime: short, ReadTime: short}, ""},
		{"half a line", "GET /hea", server.Config{HeaderTime: short}, "HTTP/1.1 400 Bad Request\r\n"},
		{"half a header", "GET /health HTTP/1.1\r\nHost: localhost\r\nX-", server.Config{HeaderTime: short}, "HTTP/1.1 400 Bad Request\r\n"},
		{
			"half a body", "POST /v1/registry/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{\"worker_id\":",
			server.Config{ReadTime: short},
			"HTTP/1.1 408 Request Timeout\r\n",
		},
		{
			"half a chunk", "POST /v1/registry/heartbeat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{",
			server.Config{ReadTime: short},
			"HTTP/1.1 408 Request Timeout\r\n",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			conn := connect(t, start(t, test.cfg), test.text)
			answer, err := io.ReadAll(conn) // to its end, which the server makes
			if err != nil {
				t.Fatal(err)
			}
			if got := string(answer); !strings.HasPrefix(got, test.answer) || (test.answer == "") != (got == "") {
				t.Errorf("it is answered with %q", got)
			}
		})
	}
}

func TestAWatcherThatNeverReadsIsDropped(t *testing.T) {
	t.Parallel()
	ln := newNarrow(t)
	url, client := startOn(t, ln, server.Config{Patience: 200 * time.Millisecond}), testClient(t)
	fill(t, client, url)
	ln.from.Store(true)

	resp, err := client.Get(url + "/v1/registry/watch?component_type=hive") // little enough to be taken at any pace
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	events := bufio.NewScanner(resp.Body)
	hears := func(text string) {
		t.Helper()
		for events.Scan() {
			if strings.Contains(events.Text(), text) {
				return
			}
		}
		t.Fatalf("the other watcher does not hear of %s: %v", text, events.Err())
	}
	stalled := connect(t, url, "GET /v1/registry/watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
	hive := `{"hive_id":%q,"hostname":"localhost","port":7835}`
	if err := post(client, url+"/v1/registry/register", fmt.Sprintf(hive, "while-it-stalls")); err != nil {
		t.Fatal(err)
	}
	hears("while-it-stalls")
	ln.waitClosed(t, stalled)
	// net/http closes the connection before the handler learns of it.
	deadline := time.Now().Add(longest)
	for _, line := range []string{`rbee_registry_watchers_dropped_total{reason="stalled"} 1`, "rbee_registry_watchers 1"} {
		for !strings.Contains(read(t, client, url+"/metrics"), "\n"+line+"\n") {
			if time.Now().After(deadline) {
				t.Fatalf("the metrics do not say %s", line)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	if err := post(client, url+"/v1/registry/register", fmt.Sprintf(hive, "afterwards")); err != nil {
		t.Fatal(err)
	}
	hears("afterwards")
}

func TestAListThatNobodyReadsIsCut(t *testing.T) {
	t.Parallel()
	ln := newNarrow(t)
	url, client := startOn(t, ln, server.Config{WriteTime: time.Second}), testClient(t)
	fill(t, client, url)
	ln.from.Store(true)
	conn := connect(t, url, "GET /v1/registry/workers HTTP/1.1\r\nHost: localhost\r\n\r\n")
	ln.waitClosed(t, conn)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("%d bytes of %d look whole", len(body), resp.ContentLength)
	}
}

func TestTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	url := start(t, server.Config{})
	large := strings.Repeat("x", 2<<20)
	for _, test := range []struct {
		name, text, status string
	}{
		{"a header", "GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + large[:64<<10] + "\r\n\r\n", "431 Request Header Fields Too Large"},
		{"a path", "GET /" + large[:64<<10] + " HTTP/1.1\r\nHost: localhost\r\n\r\n", "431 Request Header Fields Too Large"},
		{
			"a body", "POST /v1/registry/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2097152\r\n\r\n" + large,
			"413 Request Entity Too Large",
		},
		{
			"a body that is no batch", "DELETE /v1/registry/unregister HTTP/1.1\r\nHost: localhost\r\nContent-Length: 66000\r\n\r\n" + large[:66000],
			"413 Request Entity Too Large",
		},
		{
			"a body of unknown length", "POST /v1/registry/heartbeat HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n" + large + "\r\n0\r\n\r\n",
			"413 Request Entity Too Large",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn := connect(t, url, "")
			var sending sync.WaitGroup
			sending.Go(func() { _, _ = io.WriteString(conn, test.text) }) // the rest may be refused
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			conn.Close()
			sending.Wait()
			if resp.Status != test.status {
				t.Errorf("it is answered with %s", resp.Status)
			}
		})
	}
}

// garbage is what strangers send.
var garbage = []string{
	"", "\r\n\r\n\r\n", strings.Repeat("\x00", 10_000), strings.Repeat("A", 100_000),
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",    // TLS
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00",    // HTTP/2
	"SSH-2.0-OpenSSH_9.6\r\n", "*1\r\n$4\r\nPING\r\n", // other protocols
	"GET / HTTP/1.1\r\n\r\n", // without a host
	"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
	"POST /v1/registry/register HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
	"POST /v1/registry/register HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6",
	"GET /v1/registry/watch HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: \xff\xff.\xff\r\n\r\n",
}

// strangers are twenty connections at once that send garbage; half of them slam the door.
func strangers(t *testing.T, url string) {
	t.Helper()
	var all sync.WaitGroup
	defer all.Wait()
	for i := range 20 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			defer conn.Close()
			_, _ = io.WriteString(conn, garbage[i%len(garbage)]) // it may be cut at any point
			if i%2 == 0 {
				_ = conn.(*net.TCPConn).SetLinger(0)
				return
			}
			_ = conn.SetReadDeadline(time.Now().Add(300 * time.Millisecond)) // a watch goes on
			_, _ = io.Copy(io.Discard, conn)
		})
	}
}

// This test counts all goroutines, so no other runs beside it.
func TestStrangersLeaveNothing(t *testing.T) {
	url := start(t, server.Config{HeaderTime: 100 * time.Millisecond, ReadTime: 100 * time.Millisecond})
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	strangers(t, url) // so that all is there that the first ones bring along
	read(t, client, url+"/health")
	before, held := runtime.NumGoroutine(), heap()
	for range 3 {
		strangers(t, url)
	}
	const atRandom = 2 // goroutines that were about to begin or to end
	deadline := time.Now().Add(longest)
	for runtime.NumGoroutine() > before+atRandom {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
		time.Sleep(10 * time.Millisecond)
	}
	if holds := heap(); holds > held+1<<20 {
		t.Errorf("%d bytes before, %d after", held, holds)
	}
	if body := read(t, client, url+"/health"); !strings.Contains(body, `"ok"`) {
		t.Errorf("its health is %s", body)
	}
}

// heap is how much memory is in use.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
