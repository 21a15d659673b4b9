package queen

import (
	"slices"
	"strconv"
	"strings"

	"github.com/rbee-launch/rbee-launch/internal/gpu"
)

// on is the offer with no other GPUs than those that a request names, and which one of those the
// hive does not have; "" is none. What is no name of a GPU is the hive's to refuse.
func (o offer) on(named string) (limited offer, lacks string) {
	if named == "" {
		return o, ""
	}
	var those []gpu.Device
	for name := range strings.SplitSeq(named, ",") {
		wanted := name
		if index, err := strconv.Atoi(name); err == nil {
			wanted = strconv.Itoa(index) // how it is written is the hive's matter, too
		} else if !strings.HasPrefix(name, "GPU-") {
			continue
		}
		i := slices.IndexFunc(o.Devices, func(d gpu.Device) bool { return d.IsNamed(wanted) })
		if i < 0 {
			return o, name
		}
		those = append(those, o.Devices[i])
	}
	o.Devices = those
	return o, ""
}
