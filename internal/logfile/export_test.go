package logfile

// What the tests look at from outside.
var (
	Parse        = parse
	LastLines    = lastLines
	RotatedFiles = rotatedFiles
)

const (
	ChunkSize  = chunkSize
	MaxWaiting = maxWaiting
)
