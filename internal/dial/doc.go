// Package dial connects to servers on other machines in such a way that a machine which is gone,
// or the cable to it, is noticed within half a minute, whatever is being waited for.
//
//	t := &http.Transport{DialContext: dial.Dialer{Connect: 5 * time.Second}.DialContext}
//
// A connection does not notice by itself that nobody is at its other end. While nothing is under
// way keepalive finds out, which does not work while something is: then it takes the kernel's
// retransmissions a quarter of an hour to give up.
//
// It sends nothing of its own, and knows nothing of HTTP. A server that lives, and hangs, is
// none of its business.
package dial
