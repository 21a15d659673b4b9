package launch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// The runtime directory can be cleared away under a launch that runs: at its user's last
// logout, say, or by whatever tidies /tmp. The launcher looks whether all is there that
// leads to it, and makes anew what is not.

// mending is the time between looks at the record.
const mending = time.Second

// mend puts the record right, again and again, until the launch has ended.
func (l *launching) mend(ctx context.Context, ended <-chan struct{}) {
	ctx = context.WithoutCancel(ctx) // a launch that takes long to stop is to be found, too
	tick := time.NewTicker(mending)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ended:
			return
		}
		l.papers.Lock()
		if l.placed {
			l.putRight(ctx)
		}
		l.papers.Unlock()
	}
}

// putRight makes anew what is missing of the record and of the lease. What fails costs that
// and not the launch; papers is held.
func (l *launching) putRight(ctx context.Context) {
	anew, err := l.berth.renew(ctx)
	if l.cfg.RuntimeDir != "" {
		taken, failed := l.retake(ctx)
		anew, err = anew || taken, errors.Join(err, failed)
	}
	if l.record.held() {
		l.restate()
		err = errors.Join(err, l.listenAgain(ctx))
	}
	if g := l.entrusted; g != nil && g.Err() == nil && (anew || l.doorMissing()) {
		err = errors.Join(err, l.entrust(g))
	}
	l.grumble(err)
}

// retake takes the id again where the record's lock is no longer what locks it: without the
// file at its path nobody is locked out.
func (l *launching) retake(ctx context.Context) (anew bool, err error) {
	if l.record.held() {
		return false, nil
	}
	if err := ownFolders(l.cfg.RuntimeDir); err != nil {
		return false, fmt.Errorf("record the launch %s again: %w", l.target.ID, err)
	}
	next, err := openRecord(ctx, l.cfg.RuntimeDir, l.target.ID)
	if err != nil {
		return false, err
	}
	l.mu.Lock()
	last := l.record
	l.record = next
	l.mu.Unlock()
	if last != nil {
		l.cfg.Log.Warn("the launch's record was gone, and is made anew", "id", l.target.ID, "dir", filepath.Dir(next.base))
		_ = last.lock.Unlock() // it locked nobody out any more
	}
	return true, nil
}

// ownFolders makes the folders of the records. Their names can be guessed, and somebody else
// may have made them once ours were gone.
func ownFolders(runtimeDir string) error {
	if err := os.MkdirAll(recordDir(runtimeDir), 0o700); err != nil {
		return err
	}
	for _, dir := range []string{runtimeDir, recordDir(runtimeDir)} {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Getuid() {
			return fmt.Errorf("%s is another user's", dir)
		}
	}
	return nil
}

// restate writes the state again that could not be written, or is gone.
func (l *launching) restate() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stale || !l.record.has(stateExt, 0) {
		l.show()
	}
}

// listenAgain takes commands at a new socket in place of one that nobody can reach.
func (l *launching) listenAgain(ctx context.Context) error {
	if l.control != nil && l.record.has(sockExt, fs.ModeSocket) {
		return nil
	}
	if err := l.record.removeAll(sockExt); err != nil {
		return err
	}
	c, err := l.openControl(ctx, l.record.base, nil)
	if err != nil {
		return err
	}
	last := l.control
	l.control = c
	last.close() // those who listen there ask again
	return nil
}

// doorMissing reports whether an adopter would find no way to the guard.
func (l *launching) doorMissing() bool {
	return l.cfg.Guard == nil && l.record.held() && !l.record.has(doorExt, fs.ModeSocket)
}

// grumble tells what could not be put right, at the 1st, 10th, then every 100th time in a
// row.
func (l *launching) grumble(err error) {
	if err == nil {
		l.failures = 0
		return
	}
	if l.failures++; l.failures == 1 || l.failures == 10 || l.failures%100 == 0 {
		l.cfg.Log.Warn("the launch goes on, and can't be found", "id", l.target.ID, "attempts", l.failures, "err", err)
	}
}
