package supervisor

import (
	"fmt"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/shirou/gopsutil/v3/process"
)

// Process is a process as people know it.
type Process struct {
	PID int `json:"pid"`
	// Name is its program's, with the title that it gave itself:
	// "python3.12 (VLLM::EngineCore)".
	Name string `json:"name"`
}

func (p Process) String() string { return fmt.Sprintf("pid %d %s", p.PID, p.Name) }

// processes names those that live.
func processes(pids []int) []Process {
	var named []Process
	for _, pid := range pids {
		if name := nameOf(pid); name != "" {
			named = append(named, Process{PID: pid, Name: name})
		}
	}
	return named
}

// nameOf is "" for a process that has ended.
func nameOf(pid int) string {
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return ""
	}
	comm, err := p.Name()
	if err != nil {
		return ""
	}
	// What is another user's may keep these from us.
	exe, _ := p.Exe()
	argv, _ := p.CmdlineSlice()
	title := ""
	if len(argv) > 0 {
		title = argv[0]
	}
	return programName(comm, exe, title)
}

// programName puts together what the system calls a process, the file it runs and its
// argv[0], which servers like vLLM and nginx write their title to.
func programName(comm, exe, title string) string {
	if strings.ContainsRune(strings.SplitN(title, " ", 2)[0], '/') {
		title = filepath.Base(title)
	}
	title = strings.TrimSpace(strings.Map(printable, title))
	exe = filepath.Base(strings.TrimSuffix(exe, " (deleted)"))
	switch {
	case title == "":
		return comm
	case exe == ".", strings.HasPrefix(exe, title), strings.HasPrefix(title, exe):
		return title // python3 of python3.12, "nginx: worker process" of nginx
	default:
		return exe + " (" + title + ")"
	}
}

// printable is for strings.Map: a process may call itself anything.
func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return -1
}
