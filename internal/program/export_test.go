package program

var Serve = serve
