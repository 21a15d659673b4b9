// Package logfile reads the logs that children's output is kept in: one file per id, of
// lines like
//
//	2026-11-23T15:04:05.000Z stderr listening on 8080
//
// and beside it those that were rotated away, by the names that timberjack gives them.
//
//	err := logfile.Follow(ctx, logfile.Config{
//		Path:    logfile.Path(dir, "worker-llm-8080"),
//		Ended:   ended, // when closed, the rest is read and Follow returns
//		OnLines: func(lines []logfile.Line) error { return show(lines) },
//	})
//
// Read gives what there is, Follow goes on with what comes: each whole line once and in
// order, over rotations, also when whoever takes them is slow. Where the last few lines
// are asked for, no more than their end of the log is read.
//
// It does not write logs, and reads no compressed ones.
package logfile
