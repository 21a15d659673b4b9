package doctor

import "fmt"

// System is what the kernel gives to those who guard processes. An error says why
// something is not to be had.
type System struct {
	OS     string // "linux", "darwin"
	Kernel string // its release
	Arch   string

	Subreaper   error // orphans can be inherited
	DeathSignal error // children can be made to die with their parent
	Pidfd       error // a process can be pinned before it is signalled
	Cgroup      Cgroup
	First       First
}

// Cgroup is where a guard makes one for each child.
type Cgroup struct {
	Dir string
	Err error // why it can't
}

// First is PID 1.
type First struct {
	Name    string // "" when unknown
	Zombies int    // ended processes that it has not reaped
}

func platform(s System) Finding {
	text := fmt.Sprintf("%s %s, %s", s.OS, s.Kernel, s.Arch)
	if s.OS == "linux" {
		return ok("platform", text)
	}
	return warn("platform", text+": process groups are the one guard here, so a descendant that leaves its group is not found once its parent has died",
		"where that matters, launch in a Linux container or virtual machine")
}

func processGroups() Finding {
	return ok("process groups", "a child is stopped and killed together with what it has started in its group")
}

func subreaper(s System) Finding {
	if s.Subreaper != nil {
		return warn("subreaper", "a descendant with a session of its own is lost once its parent has died: "+s.Subreaper.Error(), "")
	}
	return ok("subreaper", "descendants stay known when their parent dies, with a session of their own, too")
}

func deathSignal(s System) Finding {
	if s.DeathSignal != nil {
		return warn("pdeathsig", "children outlive a guard that is killed, until their launcher kills them: "+s.DeathSignal.Error(), "")
	}
	return ok("pdeathsig", "when the guard itself is killed, the kernel kills its children")
}

func pidfd(s System) Finding {
	if s.Pidfd != nil {
		return warn("pidfd", "whom a pid means is told by start times alone, which leaves an instant for a mistake: "+s.Pidfd.Error(),
			onLinux(s, "Linux 5.3 has pidfds; a container's seccomp profile may forbid them"))
	}
	return ok("pidfd", "no stranger is killed who got the pid of a process that has ended")
}

func onLinux(s System, fix string) string {
	if s.OS != "linux" {
		return ""
	}
	return fix
}

func cgroup(c Cgroup) Finding {
	if c.Err != nil {
		return warn("cgroup", "trees are killed process by process: "+c.Err.Error(),
			"not needed, but nothing escapes one: 'systemd-run --user --scope -p Delegate=yes rbee-launch ...', Delegate=yes in a unit, or a container with a writable cgroup")
	}
	return ok("cgroup", "the kernel kills a child's whole tree at once, by a cgroup below "+c.Dir)
}

// manyZombies is more than an init leaves between two looks.
const manyZombies = 20

func firstProcess(p First) Finding {
	switch {
	case p.Name == "":
		return ok("pid 1", "the first process is not ours to look at")
	case p.Zombies > manyZombies:
		return warn("pid 1", fmt.Sprintf("%s has not reaped %d processes that have ended: they use up pids, and make all looks at the process table slow", p.Name, p.Zombies),
			"as a container's first process rbee-launch reaps them; so does 'docker run --init'")
	default:
		return ok("pid 1", p.Name+" reaps orphans")
	}
}
