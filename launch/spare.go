package launch

import (
	"bytes"
	"io"
	"os"
)

// A record that was written once can be written again on a full disk: beside the state is a
// spare file of its size, which takes the next state in the room that it has, and changes
// places with the present one.

// slack is by how many bytes a state may grow before a larger spare is needed.
const slack = 512

// reserve makes the spare as large as a state of n bytes may become. Where it can't be made
// there is none; that costs something only when the disk is full.
func (r *record) reserve(n int) {
	path := r.base + spareExt
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && info.Size() >= int64(n) {
		return
	}
	if err := os.WriteFile(path, blank(n+slack), 0o600); err != nil { // real bytes: a hole takes no room
		_ = os.Remove(path)
	}
}

// writeSpare puts body in place of the state, without taking more room.
func (r *record) writeSpare(body []byte) error {
	spare := r.base + spareExt
	f, err := os.OpenFile(spare, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	pad := max(0, int(info.Size())-len(body)) // it may also grow, to the end of its last block
	if _, err := f.WriteAt(append(bytes.Clone(body), blank(pad)...), 0); err != nil {
		return err
	}
	if exchange(spare, r.base+stateExt) != nil { // not every file system can
		return os.Rename(spare, r.base+stateExt)
	}
	return nil
}

// blank is what JSON takes no notice of.
func blank(n int) []byte { return bytes.Repeat([]byte{' '}, n) }

// readWhole reads a state that may be replaced meanwhile, or even change places with the
// spare and be written over: then it is read anew.
func readWhole(path string) ([]byte, error) {
	for tries := 10; ; tries-- {
		body, still, err := readOnce(path)
		if err != nil || still || tries == 0 {
			return body, err
		}
	}
}

// readOnce tells, too, whether the file was the one at path all along.
func readOnce(path string) (body []byte, still bool, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	if body, err = io.ReadAll(f); err != nil {
		return nil, false, err
	}
	after, err := os.Stat(path)
	return body, err == nil && os.SameFile(before, after) && after.ModTime().Equal(before.ModTime()), nil
}
