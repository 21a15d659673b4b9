// Package inventory tells what a machine has for running models: cores, memory, NVIDIA
// GPUs, the engines that are installed, and the GGUF files in its model folders, each
// with its quantisation and the memory that it will need.
//
//	inv := inventory.New(inventory.Config{ModelDirs: []string{"/srv/models"}, Catalog: catalog})
//	defer inv.Close(ctx)
//	machine := inv.Look(ctx)                 // for GET /capabilities
//	model, err := inv.FindModel(ctx, "qwen3-0.6b-q4_k_m") // for a request that names one
//
// A look is bounded: a GPU whose driver hangs or a folder on a dead file server costs
// no more than Config.Limit, and Machine.Problems says what is missing or old. Files
// are read once, and again when they change.
//
// The memory is an estimate, before anything is started: weights, cache and buffers of
// llama.cpp on the CPU, with MaxContext tokens of context, or as many as the model knows
// when these are fewer. Model.MemoryContext says how many. More context, several
// requests at once, a projector for images or a GPU change it.
//
// It downloads nothing, and judges no model that an engine keeps in a library of its own.
package inventory
