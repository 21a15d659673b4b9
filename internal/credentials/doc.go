// Package credentials reads the files that a program shows servers on other machines, and
// knows them by: the cluster's token, a CA, and a certificate of its own.
//
//	shown, err := credentials.Files{Token: "token", CA: "ca.pem"}.Read()
//	...
//	c, err := registry.NewClient(registry.Config{URL: url, Token: shown.Token, TLS: shown.TLS})
//
// It opens no connection, and sees to it nowhere that a token goes to other machines alone:
// the clients do. What a server speaks TLS with is httpd's.
package credentials
