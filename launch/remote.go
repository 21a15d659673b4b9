package launch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/httpd"
	"github.com/rbee-launch/rbee-launch/internal/unixsock"
)

// ErrNotThere means that no living launcher has the id.
var ErrNotThere = errors.New("no launcher has it")

// OrphanedError means that a launch's launcher is dead, and its child was kept.
type OrphanedError struct {
	ID       string
	PID      int // of the child
	Launcher int // the pid that the launcher had
}

func (e *OrphanedError) Error() string {
	return fmt.Sprintf("%s is orphaned: its launcher, pid %d, is dead; its child, pid %d, runs on", e.ID, e.Launcher, e.PID)
}

// HungError means that a launcher lives and does not answer.
type HungError struct {
	ID  string
	PID int // of the launcher
	Err error
}

func (e *HungError) Error() string {
	return fmt.Sprintf("the launcher of %s, pid %d, does not answer: %v", e.ID, e.PID, e.Err)
}

func (e *HungError) Unwrap() error { return e.Err }

// ErrReplaced means that a launcher broke off in the midst of an answer, and lives: it goes
// on as another version of the program, and can be asked again.
var ErrReplaced = errors.New("its launcher was replaced meanwhile")

// answerLimit is how long a launcher may take to answer: it has little to do for it.
const answerLimit = 5 * time.Second

// Remote commands a launch of another process of this user.
type Remote struct {
	id, base string
	client   *http.Client
}

// Open finds the launch with this id. It fails with ErrNotThere when there is none, and
// with an *OrphanedError when nobody is there to command. The caller closes the Remote.
func Open(runtimeDir, id string) (*Remote, error) {
	r := &Remote{id: id, base: recordBase(runtimeDir, id)}
	if err := r.check(); err != nil {
		return nil, err
	}
	r.client = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return unixsock.Dial(ctx, r.base+sockExt)
		},
	}}
	return r, nil
}

// check says why nobody is there to command.
func (r *Remote) check() error {
	s, err := readState(r.base)
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotThere
	}
	if err != nil {
		return fmt.Errorf("find the launch %s: %w", r.id, err)
	}
	switch s.standing(look(r.base, &s)) {
	case alive:
		return nil
	case ending:
		return fmt.Errorf("find the launch %s: its launcher was killed, and its guard takes it down: %w", r.id, ErrNotThere)
	case orphaned:
		return &OrphanedError{ID: r.id, PID: s.Child.PID, Launcher: s.Launcher.PID}
	default:
		return fmt.Errorf("find the launch %s: %w", r.id, ErrNotThere)
	}
}

// Close drops the connections.
func (r *Remote) Close() { r.client.CloseIdleConnections() }

// Inspect asks for all there is to know.
func (r *Remote) Inspect(ctx context.Context) (Inspection, error) {
	var i Inspection
	err := r.do(ctx, "inspect", http.MethodGet, "", nil, &i)
	return i, err
}

// Stop asks the launch to end, and does not wait for that: Events tells.
func (r *Remote) Stop(ctx context.Context, o StopOptions) error {
	return r.do(ctx, "stop", http.MethodPost, "/stop", o, nil)
}

// Restart has the child stopped and started again, and does not wait for that.
func (r *Remote) Restart(ctx context.Context) error {
	return r.do(ctx, "restart", http.MethodPost, "/restart", struct{}{}, nil)
}

// Upgrade has the launcher go on as the program at path, and does not wait for that:
// Inspect shows, in the first of its Events, when it was adopted, and in NotUpgraded
// whether by the same program as before.
func (r *Remote) Upgrade(ctx context.Context, path string) error {
	return r.do(ctx, "upgrade", http.MethodPost, "/upgrade", upgradeRequest{path}, nil)
}

// Events yields what happened, and what happens from now on, with the child's output if
// that is wanted, until the launch has ended: the last event is then Ended. An error
// ends them early, ErrReplaced at an upgrade.
func (r *Remote) Events(ctx context.Context, output bool) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		path := "/events"
		if output {
			path += "?output=true"
		}
		resp, err := r.ask(ctx, http.MethodGet, path, nil)
		if err != nil {
			yield(Event{}, r.explain("follow", err))
			return
		}
		defer resp.Body.Close()
		for dec := json.NewDecoder(resp.Body); ; {
			var e Event
			if err := dec.Decode(&e); err != nil {
				if ctx.Err() == nil {
					yield(Event{}, r.explain("follow", err))
				}
				return
			}
			if !yield(e, nil) || e.Event == Ended {
				return
			}
		}
	}
}

// do asks a question, once more when the launcher is replaced meanwhile.
func (r *Remote) do(ctx context.Context, what, method, path string, body, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, answerLimit)
	defer cancel()
	for {
		err := r.once(ctx, what, method, path, body, answer)
		if !errors.Is(err, ErrReplaced) || ctx.Err() != nil {
			return err
		}
		pause(ctx)
	}
}

func (r *Remote) once(ctx context.Context, what, method, path string, body, answer any) error {
	resp, err := r.ask(ctx, method, path, body)
	if err != nil {
		return r.explain(what, err)
	}
	defer resp.Body.Close()
	if answer == nil {
		_, err = io.Copy(io.Discard, resp.Body)
	} else {
		err = json.NewDecoder(resp.Body).Decode(answer)
	}
	if err != nil {
		return r.explain(what, err)
	}
	return nil
}

// pause is a moment, for what is between two states.
func pause(ctx context.Context) {
	select {
	case <-time.After(20 * time.Millisecond):
	case <-ctx.Done():
	}
}

func (r *Remote) ask(ctx context.Context, method, path string, body any) (*http.Response, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://launch/v1/launch"+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	resp, err := r.client.Do(req)
	if err != nil || resp.StatusCode < 300 {
		return resp, err
	}
	defer resp.Body.Close()
	var p httpd.Problem
	if err := json.NewDecoder(io.LimitReader(resp.Body, httpd.MaxBody)).Decode(&p); err != nil || p.Detail == "" {
		return nil, fmt.Errorf("it answers %s", resp.Status)
	}
	return nil, &p
}

// explain says what a failure means for the launch.
func (r *Remote) explain(what string, err error) error {
	var refused *httpd.Problem
	if errors.As(err, &refused) {
		return fmt.Errorf("%s %s: %s", what, r.id, refused.Detail)
	}
	if gone := r.check(); gone != nil {
		return gone
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		s, _ := readState(r.base) // best effort: for the message alone
		look(r.base, &s)
		return &HungError{ID: r.id, PID: s.SupervisorPID, Err: err}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		err = fmt.Errorf("%w: %w", ErrReplaced, err)
	}
	return fmt.Errorf("%s %s: %w", what, r.id, err)
}
