package cli

import (
	"io"
	"log"
	"log/slog"
)

// LogFlags are the flags of a program that logs, to stderr.
type LogFlags struct {
	LogLevel  string `help:"What is logged: ${enum}." enum:"debug,info,warn,error" default:"info"`
	LogFormat string `help:"How: ${enum}." enum:"text,json" default:"text"`
}

// Logger makes the log that the flags ask for. What others print by the standard library's
// own, as net/http does when a server says more than it was asked, goes there at debug from
// then on: so it is for programs.
func (f LogFlags) Logger(w io.Writer) *slog.Logger {
	l := f.logger(w)
	log.SetFlags(0) // a record has its time
	log.SetOutput(slog.NewLogLogger(l.Handler(), slog.LevelDebug).Writer())
	return l
}

func (f LogFlags) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.LogLevel)) // the enum holds only what it knows
	options := &slog.HandlerOptions{Level: level}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
