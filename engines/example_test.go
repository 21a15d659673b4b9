package engines_test

import (
	"fmt"
	"os/exec"

	"github.com/rbee-launch/rbee-launch/engines"
)

func Example() {
	catalog, err := engines.Load("")
	if err != nil {
		fmt.Println(err)
		return
	}
	// A machine with llama-server alone.
	find := func(program string) ([]string, error) {
		if program == "llama-server" {
			return []string{"/usr/bin/llama-server"}, nil
		}
		return nil, exec.ErrNotFound
	}
	found, err := catalog.Choose("llm", "", find)
	if err != nil {
		fmt.Println(err)
		return
	}
	model, err := found.ResolveModel("../testdata/tiny.gguf")
	if err != nil {
		fmt.Println(err)
		return
	}
	model.Path = "/models/tiny.gguf" // for the same output on every machine
	cmd, err := found.Command(engines.Vars{Host: "127.0.0.1", Port: 8080, Model: model})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(cmd.Path, cmd.Args)
	fmt.Println("ready when", found.Ready.Path, "answers", found.Ready.Status)
	// Output:
	// /usr/bin/llama-server [--host 127.0.0.1 --port 8080 -m /models/tiny.gguf --alias tiny --metrics]
	// ready when /health answers 200
}
