package hive

import (
	"context"
	"regexp"
	"strings"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// deviceCPU is a worker without a GPU.
const deviceCPU = "cpu"

// devices is what a request may say of them.
var devices = regexp.MustCompile(`^(cpu|[\w-]+(,[\w-]+)*)$`)

// checkDevice refuses GPUs that the machine has not: an engine that is shown none runs on the
// CPU, and nobody is told. What can't be known is passed on, with a word in the log.
func (h *Hive) checkDevice(ctx context.Context, device string) error {
	if device == "" || device == deviceCPU {
		return nil
	}
	unsure, err := h.inventory.FindDevices(ctx, strings.Split(device, ","))
	if err != nil {
		return httpd.InvalidField("device", "%v", err)
	}
	if unsure != nil {
		h.log.Warn("whether the machine has the device is not known: it is passed on", "device", device, "err", unsure)
	}
	return nil
}

// onDevice is the environment of a keeper, and so of its worker, that is to use no other
// GPUs than those: what CUDA_VISIBLE_DEVICES says, engines know.
func onDevice(device string) []string {
	env := supervisor.ChildEnv(nil)
	switch device {
	case "":
		return env
	case deviceCPU:
		device = "-1"
	}
	return append(env, "CUDA_VISIBLE_DEVICES="+device)
}
