// Package lockfile locks files against other processes (flock), so that the lock can
// be shared with a second process by its descriptor and outlive the first.
//
//	lock, err := lockfile.Try(path, os.O_RDWR|os.O_CREATE, 0o600)
//	if errors.Is(err, lockfile.ErrLocked) { ... } // another's
//	current, err := lock.IsAt(path)               // or was the file removed meanwhile?
//	guard.Entrust("lease", lock.File(), path)     // the lock lives as long as either of us
//	defer lock.Unlock()
//
// The kernel drops a lock when the last descriptor of it is closed, in whatever way.
// It does not wait for a lock: who must have one, tries again.
package lockfile
