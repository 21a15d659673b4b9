package launch

import (
	"context"
	"errors"
	"fmt"

	"github.com/rbee-launch/rbee-launch/ports"
	"github.com/rbee-launch/rbee-launch/supervisor"
)

// maxTaken bounds how many ports are given up as taken in one launch: a child that
// says so of every port means another one than ours.
const maxTaken = 10

// berth is the port of one launch over its lives. It belongs to the goroutine that
// runs the supervisor.
type berth struct {
	cfg   Config
	lease *ports.Lease
	taken []*ports.Lease // those that turned out to be another's: kept, so that they are not leased again
}

// port returns the port for the next life: the last one, unless that was taken.
func (b *berth) port(ctx context.Context, last error) (port int, isNew bool, err error) {
	var taken *supervisor.PortTakenError
	if b.lease != nil && !errors.As(last, &taken) {
		return b.lease.Port(), false, nil
	}
	if b.lease != nil {
		b.taken = append(b.taken, b.lease)
		b.lease = nil
		if b.cfg.Port != 0 || len(b.taken) == maxTaken {
			return 0, false, last
		}
	}
	if b.cfg.Port != 0 {
		b.lease, err = ports.AcquirePort(ctx, b.cfg.Ports, b.cfg.Port)
	} else {
		b.lease, err = ports.Acquire(ctx, b.cfg.Ports)
	}
	if err != nil {
		return 0, false, err
	}
	return b.lease.Port(), true, nil
}

// settle gives the taken ports back once one was found that is not.
func (b *berth) settle() error {
	var errs []error
	for _, l := range b.taken {
		errs = append(errs, l.Release())
	}
	b.taken = nil
	return errors.Join(errs...)
}

// renew has the lease lock others out again, should its file be gone.
func (b *berth) renew(ctx context.Context) (anew bool, err error) {
	if b.lease == nil {
		return false, nil
	}
	return b.lease.Renew(ctx)
}

func (b *berth) release() error {
	err := b.settle()
	if b.lease != nil {
		err = errors.Join(err, b.lease.Release())
	}
	if err != nil {
		return fmt.Errorf("give the port back: %w", err)
	}
	return nil
}
