// Package testca makes certificates for tests, each time anew, so that none is kept in the
// repository.
//
//	ca, err := testca.New("our CA")
//	...
//	err = ca.Write("ca.pem")
//	...
//	err = ca.Issue("server.pem", "server.key", testca.Server, "localhost", "127.0.0.1")
//
// It is for tests alone: nothing that it makes is worth to be trusted.
package testca
