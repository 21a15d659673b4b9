package hive

import (
	"regexp"

	"github.com/rbee-launch/rbee-launch/supervisor"
)

// deviceCPU is a worker without a GPU.
const deviceCPU = "cpu"

// devices is what a request may say of them.
var devices = regexp.MustCompile(`^(cpu|[\w-]+(,[\w-]+)*)$`)

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
