package inventory

import "bytes"

// Limits are what the cgroups below a folder leave to a process.
func Limits(membership, root string) (cores int, memory, available uint64) {
	l := limitsOf(membership, root)
	return l.cores, l.memory, l.available
}

// Limited is a machine with these limits.
func Limited(m Machine, cores int, memory, available uint64) Machine {
	m.limit(limits{cores: cores, memory: memory, available: available})
	return m
}

// CheckHeader checks a whole file.
func CheckHeader(content []byte) error {
	return checkHeader(bytes.NewReader(content), int64(len(content)))
}

// ReadModel reads one file, without remembering it.
func ReadModel(path string) (Model, error) {
	f, err := describe(path)
	if err != nil {
		return Model{}, err
	}
	return readModel(f)
}

// ErrFormat is the cause of what is wrong with a file's content.
var ErrFormat = errFormat
