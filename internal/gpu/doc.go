// Package gpu waits until NVIDIA's driver has taken back the memory of a process that
// has ended, which can be seconds after that: a model server that is started before
// then finds no room for its model.
//
//	devices := gpu.Find(env) // nil where there is no GPU, or none for this environment
//	before, err := devices.Used(ctx)
//	...                      // a model server lives and ends
//	after, err := devices.Settle(ctx, before, func(left int64) { ... })
//
// List tells which GPUs there are.
//
// It asks nvidia-smi, the one program that every driver comes with. It can't tell whose
// memory it is: where others use a device too, it waits for the memory in use to fall no
// longer. It knows nothing of GPUs of other makes.
package gpu
