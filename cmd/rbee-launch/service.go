package main

import (
	"cmp"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/internal/sdnotify"
	"github.com/rbee-launch/rbee-launch/launch"
	"github.com/rbee-launch/rbee-launch/launch/stack"
)

const (
	// extension is what a start or a stop in progress asks systemd for with each pulse.
	// When either is to be given up is the launch's to say, by its own flags.
	extension = 15 * time.Second
	// longestPulse is how seldom that is, and progressEvery how seldom a start is put
	// into words: systemd tells the words to whoever listens.
	longestPulse  = 5 * time.Second
	progressEvery = 2 * time.Second
)

// service tells systemd how a launch goes, where that runs us with Type=notify. Methods
// of a nil service do nothing.
type service struct {
	to    *sdnotify.Service
	named bool // there are several launches, so each is called by its name

	mu       sync.Mutex
	isReady  bool
	stopping bool
	told     time.Time // when a start was last put into words
}

// newService is nil where no systemd wants to know. The caller closes it.
func newService(log *slog.Logger) *service {
	to := sdnotify.Start(log)
	if to == nil {
		return nil
	}
	return &service{to: to}
}

func (s *service) close() {
	if s != nil {
		s.to.Close()
	}
}

// follow has systemd told of one launch, besides whom its Config tells already.
func (s *service) follow(cfg launch.Config) launch.Config {
	if s == nil {
		return cfg
	}
	cfg.OnEvent = s.besides(cfg.OnEvent)
	cfg.OnPulse, cfg.PulseEvery = s.pulse, s.pulseEvery()
	return cfg
}

// followStack has systemd told of a stack; up is to say when it is ready.
func (s *service) followStack(cfg stack.Config) stack.Config {
	if s == nil {
		return cfg
	}
	s.named = true
	cfg.OnEvent = s.besides(cfg.OnEvent)
	cfg.OnPulse, cfg.PulseEvery = s.pulse, s.pulseEvery()
	return cfg
}

// besides tells somebody of events first, and then systemd.
func (s *service) besides(tell func(launch.Event)) func(launch.Event) {
	return func(e launch.Event) {
		tell(e)
		s.event(e)
	}
}

// pulseEvery is how often the launch is to pulse: as the watchdog wants, and often
// enough for the extensions.
func (s *service) pulseEvery() time.Duration {
	return min(cmp.Or(s.to.WatchdogInterval(), longestPulse), longestPulse)
}

// pulse is told that the launch is not stuck.
func (s *service) pulse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isReady && !s.stopping {
		s.to.Alive(0)
	} else {
		s.to.Alive(extension)
	}
}

// up says that a stack is ready.
func (s *service) up(status string) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.isReady = true
	s.to.Ready(status)
}

// event puts into words what happens.
func (s *service) event(e launch.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e.Event {
	case launch.Stopping:
		if !s.stopping {
			s.stopping = true
			s.to.Stopping("stopping")
			s.to.Alive(extension)
		}
		return
	case launch.Progress:
		if time.Since(s.told) < progressEvery {
			return
		}
		s.told = time.Now()
	}
	text := inWords(e)
	switch {
	case text == "":
	case s.named:
		s.to.Status(e.ID + ": " + text)
	case e.Event == launch.Ready && !s.isReady:
		s.isReady = true
		s.to.Ready(text)
	default:
		s.to.Status(text)
	}
}

// inWords is what an event means for how things are; empty when that is as before.
func inWords(e launch.Event) string {
	switch e.Event {
	case launch.Spawned:
		return fmt.Sprintf("starting, pid %d", e.PID)
	case launch.Adopted:
		return fmt.Sprintf("taken over, pid %d", e.PID)
	case launch.Progress:
		return loadingInWords(e)
	case launch.Ready, launch.Healthy:
		return "ready at " + e.URL
	case launch.Unhealthy:
		return "unhealthy: " + e.Error
	case launch.Exited:
		if e.Error == "" {
			return fmt.Sprintf("ended with exit code %d", *e.ExitCode)
		}
		return e.Error
	case launch.Restarting:
		return fmt.Sprintf("restarting in %s", time.Duration(e.WaitMS)*time.Millisecond)
	case launch.Settling:
		return "waiting for the memory of its GPU"
	case launch.Stopped:
		return "stopped"
	case launch.Failed:
		return "failed: " + e.Error
	default:
		return ""
	}
}

func loadingInWords(e launch.Event) string {
	text := fmt.Sprintf("loading, %d s, %d MB", int(e.Seen.Elapsed.Seconds()), e.Seen.RSS>>20)
	if e.ModelBytes > 0 {
		text += fmt.Sprintf(" of %d", e.ModelBytes>>20)
	}
	if e.Seen.Status != "" {
		text += ": " + e.Seen.Status // its own words
	}
	return text
}
