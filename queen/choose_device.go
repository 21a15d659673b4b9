package queen

import (
	"slices"
	"strconv"
	"strings"
)

// device is a GPU that a hive has.
type device struct {
	Index  int    `json:"index"`
	UUID   string `json:"uuid"`
	Memory uint64 `json:"memory_bytes"`
	Used   uint64 `json:"memory_used_bytes"`
}

// on is the offer with no other GPUs than those that a request names, and which one of those the
// hive does not have; "" is none. What is no name of a GPU is the hive's to refuse.
func (o offer) on(named string) (limited offer, lacks string) {
	if named == "" {
		return o, ""
	}
	var those []device
	for name := range strings.SplitSeq(named, ",") {
		index, err := strconv.Atoi(name)
		is := func(d device) bool { return d.Index == index }
		switch {
		case err == nil:
		case strings.HasPrefix(name, "GPU-"): // or the beginning of one's, as CUDA takes it
			is = func(d device) bool { return strings.HasPrefix(d.UUID, name) }
		default:
			continue
		}
		i := slices.IndexFunc(o.Devices, is)
		if i < 0 {
			return o, name
		}
		those = append(those, o.Devices[i])
	}
	o.Devices = those
	return o, ""
}
