package logfile

import (
	"bytes"
	"time"
)

// Line is one line of a log.
type Line struct {
	Time   time.Time `json:"time,omitzero"` // zero in a line that is none of ours
	Stream string    `json:"stream"`        // Stdout, Stderr, Launch, or what else is written there
	Text   string    `json:"text"`          // without its end
}

// The streams.
const (
	Stdout = "stdout"
	Stderr = "stderr"
	Launch = "launch" // the launcher's own notes
)

// timeFormat is how a line's time is written, always in UTC.
const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// String is the line as it is in the file, without its end.
func (l Line) String() string {
	if l.Time.IsZero() {
		return l.Text
	}
	return l.Time.UTC().Format(timeFormat) + " " + l.Stream + " " + l.Text
}

// parse takes a line apart. One that is not of our form is text alone.
func parse(line []byte) Line {
	// A file that was emptied under its writer begins with a hole up to where that was.
	line = bytes.TrimLeft(line, "\x00")
	stamp, rest, _ := bytes.Cut(line, []byte{' '})
	stream, text, found := bytes.Cut(rest, []byte{' '})
	at, err := time.Parse(time.RFC3339, string(stamp))
	if err != nil || !found {
		return Line{Text: string(line)}
	}
	return Line{Time: at, Stream: string(stream), Text: string(text)}
}
