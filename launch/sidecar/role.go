package sidecar

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
)

const (
	roleEnv  = "RBEE_LAUNCH_ROLE"
	parentFD = 3 // where a sidecar tells whoever started it how it goes
)

// DefaultProgram is the program of a Resume that names none: versions that wrote no name
// knew of no other.
const DefaultProgram = "rbee-launch"

// Role is what this process is, when it is not simply what was typed. An earlier version
// may have written it.
type Role struct {
	Detached bool   `json:"detached,omitempty"` // a sidecar, for Run; else Launch
	Adopt    string `json:"adopt,omitempty"`    // the id of the launch to take over
	Control  int    `json:"control,omitempty"`  // the descriptor of its control socket, after an upgrade
	Waited   bool   `json:"waited,omitempty"`   // nobody listens at parentFD any more
}

// TakeRole reads the role out of the environment, which children are not to see it in.
// It is zero where there is none.
func TakeRole() (Role, error) {
	var r Role
	text, set := os.LookupEnv(roleEnv)
	if !set {
		return r, nil
	}
	if err := os.Unsetenv(roleEnv); err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return r, fmt.Errorf("read %s: %w", roleEnv, err)
	}
	return r, nil
}

func (r Role) env() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // a defect of its type
	}
	return roleEnv + "=" + string(text)
}

// Resume is what is kept with a launch for whoever is to go on with it: how to say again
// what was said. It is launch.Config.Resume of the launches of this package.
type Resume struct {
	Program string   `json:"program,omitempty"` // by its name; see launch.FindOwn
	Args    []string `json:"args"`
	Env     []string `json:"env"`
	Dir     string   `json:"dir"`
}

// OwnResume is the Resume of what this process was asked to do, as the program of that
// name.
func OwnResume(program string) (Resume, error) {
	dir, err := os.Getwd()
	if err != nil {
		return Resume{}, fmt.Errorf("find the working folder: %w", err)
	}
	return Resume{Program: program, Args: os.Args[1:], Env: os.Environ(), Dir: dir}, nil
}

// ReadResume reads what was kept with a launch. It fails for one of another kind.
func ReadResume(kept json.RawMessage) (Resume, error) {
	var r Resume
	if err := json.Unmarshal(kept, &r); err != nil {
		return r, fmt.Errorf("read how it was launched: %w", err)
	}
	if len(r.Args) == 0 {
		return r, errors.New("read how it was launched: it does not say")
	}
	r.Program = cmp.Or(r.Program, DefaultProgram)
	return r, nil
}

// Command starts a sidecar that takes over the launch, an orphan. Path is the file of
// r.Program.
func (r Resume) Command(path, id string) Command {
	return Command{Path: path, Argv: append([]string{r.Program}, r.Args...), Env: r.Env, Dir: r.Dir, Adopt: id}
}
