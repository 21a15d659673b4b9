package ports

// Candidates lets the policy be tested as a table.
func (c Config) Candidates() (Range, []int, error) { return c.candidates() }
