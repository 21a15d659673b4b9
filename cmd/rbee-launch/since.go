package main

import (
	"fmt"
	"time"
)

// parseSince reads a time that is given as how long ago it was, or as itself: in full,
// or in as much as is needed. One without a zone is of this machine's; one without a
// date is today's.
func parseSince(text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	for _, layout := range []string{
		"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly,
	} {
		if at, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return at, nil
		}
	}
	for _, layout := range []string{time.TimeOnly, "15:04"} {
		if at, err := time.Parse(layout, text); err == nil {
			return time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), at.Second(), at.Nanosecond(), now.Location()), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time: 10m, 15:04, 2006-01-02, '2006-01-02 15:04:05' and 2006-01-02T15:04:05Z are", text)
}
