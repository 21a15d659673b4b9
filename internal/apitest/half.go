package apitest

import (
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// HalfABody sends the first byte of a request's body of a kilobyte to the server at a URL,
// naming host, and nothing after that. It gives all that comes back until the server closes
// the connection; one that has not in a minute is an error.
func HalfABody(url, host, methodAndPath string) (answer string, err error) {
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000\r\n\r\n{", methodAndPath, host); err != nil {
		return "", err
	}
	text, err := io.ReadAll(conn)
	return string(text), err
}
