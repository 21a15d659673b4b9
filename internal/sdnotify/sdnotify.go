package sdnotify

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	// unsent is how many messages wait for a manager that is slow; more are dropped.
	unsent = 64
	// lastWords is how long Close waits for a manager that takes nothing.
	lastWords = time.Second
	// maxStatus bounds a status, in bytes; a manager takes 4 KB for all of a message.
	maxStatus = 1000
)

// Service is this process as its service manager sees it. Methods of a nil Service do
// nothing; those of another may be called from several goroutines.
type Service struct {
	queue    chan string
	closing  chan struct{}
	sent     chan struct{} // closed once the goroutine has ended
	watchdog time.Duration
	log      *slog.Logger
}

// Start returns nil unless a service manager waits for messages, which is told by
// NOTIFY_SOCKET. The caller closes the Service.
func Start(log *slog.Logger) *Service {
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return nil
	}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("there is no watchdog", "err", err)
	}
	s := &Service{
		queue: make(chan string, unsent), closing: make(chan struct{}), sent: make(chan struct{}),
		watchdog: watchdog, log: log,
	}
	go s.run()
	return s
}

// WatchdogInterval is how often Alive has to be called: twice in the time after which
// the manager takes this process for dead; 0 when it has no watchdog on it.
func (s *Service) WatchdogInterval() time.Duration {
	if s == nil {
		return 0
	}
	return s.watchdog / 2
}

// Ready says that the start has succeeded.
func (s *Service) Ready(status string) { s.say(daemon.SdNotifyReady, statusLine(status)) }

// Status says in words how things are.
func (s *Service) Status(status string) { s.say(statusLine(status)) }

// Stopping says that the end has begun.
func (s *Service) Stopping(status string) { s.say(daemon.SdNotifyStopping, statusLine(status)) }

// Alive feeds the watchdog. With extend above zero it also says that a start or a stop
// in progress is not stuck: whatever its time limit, it gets so long until it has to
// say so again.
func (s *Service) Alive(extend time.Duration) {
	var lines []string
	if s.WatchdogInterval() > 0 {
		lines = append(lines, daemon.SdNotifyWatchdog)
	}
	if extend > 0 {
		lines = append(lines, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", extend.Microseconds()))
	}
	if len(lines) > 0 {
		s.say(lines...)
	}
}

// Close sends what waits, for a second at most.
func (s *Service) Close() {
	if s == nil {
		return
	}
	close(s.closing)
	limit := time.NewTimer(lastWords)
	defer limit.Stop()
	select {
	case <-s.sent:
	case <-limit.C: // the goroutine that hangs in the write ends with the process
	}
}

func (s *Service) say(lines ...string) {
	if s == nil {
		return
	}
	select {
	case s.queue <- strings.Join(lines, "\n"):
	default: // a manager that reads none of these would not read this one either
	}
}

func (s *Service) run() {
	defer close(s.sent)
	for failures := 0; ; {
		var message string
		select {
		case message = <-s.queue:
		default:
			select {
			case message = <-s.queue:
			case <-s.closing:
				return
			}
		}
		if _, err := daemon.SdNotify(false, message); err != nil {
			if failures++; failures == 1 || failures == 10 || failures%100 == 0 {
				s.log.Warn("the service manager is not told", "err", err, "failures", failures)
			}
		}
	}
}

// statusLine is a status as one line: what follows a line break would be another
// message, and part of the text may be a child's.
func statusLine(status string) string {
	status = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, status)
	return "STATUS=" + strings.ToValidUTF8(status[:min(len(status), maxStatus)], "")
}
