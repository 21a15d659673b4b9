package guard

// StartWithoutCgroups is Start where no cgroup can be had.
func StartWithoutCgroups() (*Guard, error) {
	return startWith(append(guardEnv(), noneEnv+"=1"))
}

// Marked says whether a child shows its mark, and whether that is sure.
func Marked(c *Child) (marked, sure bool) {
	id, sure := markedBy(c.pid, c.g.self)
	return id == c.id, sure
}
