// Package arch holds nothing but tests. They hold the code to what
// docs/architecture.md says of it: which package imports which, which module is used
// where, and how long a file may grow.
//
//	go test ./internal/arch
//
// A test that fails here asks a question: is the new arrow meant? If it is, change
// the table, and the picture and the text beside it, in the same commit.
//
// It reads the imports of the code alone, for Linux and for macOS. Tests may import
// what they like.
package arch
