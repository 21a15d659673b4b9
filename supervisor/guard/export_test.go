package guard

// Marked says whether a child shows its mark, and whether that is sure.
func Marked(c *Child) (marked, sure bool) {
	id, sure := markedBy(c.pid, c.g.self)
	return id == c.id, sure
}
