package sockdiag

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// State is a TCP state as the kernel numbers it (include/net/tcp_states.h).
type State uint8

// The states that are asked for here.
const (
	FinWait1 State = 4
	FinWait2 State = 5
	TimeWait State = 6
	LastAck  State = 9
	Listen   State = 10
	Closing  State = 11
	// Bound is a socket that is bound, and neither listens nor is connected. Linux
	// shows those from 6.8 on.
	Bound State = 13
)

// closed is the state that a bound socket is in.
const closed State = 7

const every = 1<<(Bound+1) - 1

// Socket is one socket on the port.
type Socket struct {
	State State
	Local netip.Addr // an IPv4 address in IPv6 form is given as IPv4
	Inode uint64     // 0 where no process has it any more
}

// OnPort lists the sockets whose local port it is, in the given states or, with none
// given, in any. It asks through a netlink socket; where the kernel has no such
// interface it reads /proc/net/tcp, which takes some 10 ms on a machine with much
// memory.
func OnPort(port int, states ...State) ([]Socket, error) {
	var mask uint32
	for _, s := range states {
		mask |= 1 << s
	}
	if len(states) == 0 {
		mask = every
	}
	var found []Socket
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		some, err := dump(family, uint16(port), mask)
		if err != nil {
			return fromProc(port, mask)
		}
		found = append(found, some...)
	}
	return found, nil
}

// dump asks for one family's sockets; see sock_diag(7).
func dump(family uint8, port uint16, mask uint32) ([]Socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, request(family, port, mask), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	var found []Socket
	buf := make([]byte, 32<<10) // the kernel's own limit of one part of a dump
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		some, done, err := read(buf[:n], port)
		found = append(found, some...)
		if done || err != nil {
			return found, err
		}
	}
}

// The sizes of struct inet_diag_req_v2 and struct inet_diag_msg.
const (
	sizeofRequest = 56
	sizeofAnswer  = 72
)

// request is a struct nlmsghdr and a struct inet_diag_req_v2.
func request(family uint8, port uint16, mask uint32) []byte {
	const sockDiagByFamily = 20
	req := make([]byte, unix.SizeofNlMsghdr+sizeofRequest)
	binary.NativeEndian.PutUint32(req[0:], uint32(len(req)))
	binary.NativeEndian.PutUint16(req[4:], sockDiagByFamily)
	binary.NativeEndian.PutUint16(req[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	body := req[unix.SizeofNlMsghdr:]
	body[0], body[1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(body[4:], mask)
	binary.BigEndian.PutUint16(body[8:], port)
	return req
}

// read takes the struct inet_diag_msg out of each message; done is the last one.
func read(msgs []byte, port uint16) (found []Socket, done bool, err error) {
	for len(msgs) >= unix.SizeofNlMsghdr {
		size := int(binary.NativeEndian.Uint32(msgs))
		kind := binary.NativeEndian.Uint16(msgs[4:])
		if size < unix.SizeofNlMsghdr || size > len(msgs) {
			return found, false, errors.New("netlink: a message of an odd length")
		}
		body := msgs[unix.SizeofNlMsghdr:size]
		switch {
		case kind == unix.NLMSG_DONE:
			return found, true, nil
		case kind == unix.NLMSG_ERROR:
			return found, false, errors.New("netlink: no diagnosis of TCP here")
		case len(body) >= sizeofAnswer && binary.BigEndian.Uint16(body[4:]) == port:
			s := Socket{State(body[1]), source(body), uint64(binary.NativeEndian.Uint32(body[68:]))}
			if s.State == closed {
				s.State = Bound // asked for under one name, answered under another
			}
			found = append(found, s)
		}
		msgs = msgs[min(len(msgs), (size+3)&^3):]
	}
	return found, false, nil
}

// source is the local address of a struct inet_diag_msg.
func source(body []byte) netip.Addr {
	if body[0] == unix.AF_INET {
		return netip.AddrFrom4([4]byte(body[8:]))
	}
	return netip.AddrFrom16([16]byte(body[8:])).Unmap()
}

// String is the state's number in the form of /proc/net/tcp.
func (s State) String() string { return fmt.Sprintf("%02X", uint8(s)) }
