package sidecar

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rbee-launch/rbee-launch/internal/inherited"
	"github.com/rbee-launch/rbee-launch/launch"
)

// settled is how long after its child is ready a sidecar gives back the memory that the
// start took: it may live for months, beside a hundred others.
const settled = time.Second

// processName is what ps shows of a sidecar: whoever ends the program that started it by
// that one's name does not end what was to outlive it.
const processName = "rbee-keeper"

// Options are a launch whose process does nothing else.
type Options struct {
	// Role is TakeRole's.
	Role Role
	// Program is the name by which this program is found and called when another process
	// is to go on with the launch, by the same arguments; DefaultProgram when empty.
	Program string
	// Config is the launch. What the role says of it, Replaceable and Resume are set here.
	Config launch.Config

	// Logger makes Run's log, of text written to w: Config.Log is not used. Warnings when
	// nil.
	Logger func(w io.Writer) *slog.Logger
	// Describe is how Run tells the launch's end, where err may be nil. When it is nil,
	// these are launch.ExitCode, and the error with the child's last lines.
	Describe func(err error) (code int, text string)
}

// config is the launch as the role has it.
func (o Options) config() (launch.Config, error) {
	cfg := o.Config
	resume, err := OwnResume(cmp.Or(o.Program, DefaultProgram))
	if err != nil {
		return cfg, err
	}
	if cfg.Resume, err = json.Marshal(resume); err != nil {
		return cfg, err
	}
	cfg.Replaceable, cfg.Detached = true, o.Role.Detached
	if o.Role.Adopt != "" {
		cfg.ID, cfg.Adopt = o.Role.Adopt, true
	}
	if o.Role.Control != 0 {
		cfg.Control = os.NewFile(uintptr(o.Role.Control), "control")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg, nil
}

// Run is a sidecar: launch.Run, whose news are told to whoever started this process, as
// long as that listens. It closes files that this process was born with, so main calls
// it before it hands any on. It fails in a process that Start has not started.
func Run(ctx context.Context, o Options) error {
	if !o.Role.Detached {
		return errors.New("run a sidecar: this process was not started as one")
	}
	_ = os.WriteFile("/proc/self/comm", []byte(processName), 0) // Linux alone
	inherited.Close(parentFD, o.Role.Control)                   // of what the starter had open, its locks are the worst
	p := newParent(o.Role, o.Config.LogDir)
	defer p.close()
	o.Config.Log = o.logger(p)
	told := o.Config.OnEvent
	o.Config.OnEvent = func(e launch.Event) {
		p.event(e)
		if e.Event == launch.Ready {
			time.AfterFunc(settled, debug.FreeOSMemory)
		}
		if told != nil {
			told(e)
		}
	}
	err := Launch(ctx, o)
	end := Ended{Code: launch.ExitCode(err), Text: describe(err)}
	if o.Describe != nil {
		end.Code, end.Text = o.Describe(err)
	}
	p.tell(Message{End: &end})
	if err != nil {
		o.Config.Log.Log(ctx, slog.LevelError, "the launch has ended", "err", err)
	}
	return err
}

func (o Options) logger(w io.Writer) *slog.Logger {
	if o.Logger != nil {
		return o.Logger(w)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func describe(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error() + "\n"
	if last := launch.LastLines(err); len(last) > 0 {
		text += "its last lines:\n  " + strings.Join(last, "\n  ") + "\n"
	}
	return text
}

// Launch is launch.Run in a process that somebody watches, or by Run. It goes on as
// another program when that is asked for: then it does not return, unless that fails.
func Launch(ctx context.Context, o Options) error {
	cfg, err := o.config()
	if err != nil {
		return err
	}
	for r := o.Role; ; {
		err := launch.Run(ctx, cfg)
		var over *launch.HandedOverError
		if !errors.As(err, &over) {
			return err
		}
		if ctx.Err() != nil { // a signal came meanwhile, which the next program would not know of
			return launch.StopOrphan(context.WithoutCancel(ctx), cfg.RuntimeDir, over.ID, launch.StopOptions{})
		}
		r.Adopt, r.Waited = over.ID, true
		cfg.ID, cfg.Adopt, cfg.Control = over.ID, true, over.Control
		failed := become(over, r, cfg.Resume)
		cfg.NotUpgraded = failed.Error()
		cfg.Log.Error("the launcher goes on as it is", "id", cfg.ID, "err", failed)
	}
}

// become replaces this program by another in the same process, and returns when that
// can't be.
func become(over *launch.HandedOverError, r Role, kept json.RawMessage) error {
	again, err := ReadResume(kept)
	if err != nil {
		return err
	}
	r.Control = 0
	if over.Control != nil {
		r.Control = int(over.Control.Fd())
		if _, err := unix.FcntlInt(over.Control.Fd(), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("keep the control socket open: %w", err)
		}
	}
	argv := append([]string{os.Args[0]}, again.Args...) // by its name it knows which program it is
	if err := syscall.Exec(over.Path, argv, append(again.Env, r.env())); err != nil {
		return fmt.Errorf("run %s: %w", over.Path, err)
	}
	return nil
}
