package sockdiag_test

import (
	"fmt"
	"net"

	"github.com/rbee-launch/rbee-launch/internal/sockdiag"
)

func ExampleOnPort() {
	ln, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()
	sockets, err := sockdiag.OnPort(ln.Addr().(*net.TCPAddr).Port, sockdiag.Listen)
	fmt.Println(len(sockets), err)
	// Output: 1 <nil>
}
