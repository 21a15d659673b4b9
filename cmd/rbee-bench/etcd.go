package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/rbee-launch/rbee-launch/ports"
)

// etcdPorts are where etcd listens. It can't tell which port it was given for a 0.
var etcdPorts = ports.Range{First: 23000, Last: 23399}

// etcd is one of its servers, with its defaults, and a folder of its own. A component
// is a key under a lease, and a heartbeat keeps the lease.
type etcd struct {
	cmd    *exec.Cmd
	url    string
	dir    string
	leases []*ports.Lease
}

const (
	etcdPrefix = "workers/"
	etcdTTL    = 3600 // s
)

// startEtcd starts the program at path and waits until it answers.
func startEtcd(ctx context.Context, path string, cores []int) (_ *etcd, err error) {
	e := &etcd{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("start etcd: %w", err), e.stop())
		}
	}()
	if e.dir, err = os.MkdirTemp("", "rbee-bench-etcd-"); err != nil {
		return nil, err
	}
	for range 2 {
		lease, err := ports.Acquire(ctx, ports.Config{Range: etcdPorts})
		if err != nil {
			return nil, err
		}
		e.leases = append(e.leases, lease)
	}
	e.url = "http://127.0.0.1:" + strconv.Itoa(e.leases[0].Port())
	peer := "http://127.0.0.1:" + strconv.Itoa(e.leases[1].Port())
	cmd := exec.CommandContext(ctx, path, "--data-dir", filepath.Join(e.dir, "data"),
		"--listen-client-urls", e.url, "--advertise-client-urls", e.url,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer,
		"--logger", "zap", "--log-level", "error")
	if err = startOn(cores, cmd); err != nil {
		return nil, err
	}
	e.cmd = cmd
	return e, e.ready(ctx)
}

// ready waits until it has made itself its leader.
func (e *etcd) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := e.listens(ctx); err != nil {
		return err
	}
	c, err := e.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Get(ctx, etcdPrefix) // a read waits for a leader
	return err
}

// listens waits for its port, since its client would complain until then.
func (e *etcd) listens(ctx context.Context) error {
	for {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", strings.TrimPrefix(e.url, "http://"))
		if err == nil {
			return c.Close()
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		}
	}
}

func (e *etcd) dial(ctx context.Context) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Context: ctx, Endpoints: []string{e.url}})
}

func (e *etcd) name() string { return "etcd" }

func (e *etcd) stop() error {
	if e.cmd != nil {
		_ = e.cmd.Process.Kill() // it may have ended
		_ = e.cmd.Wait()         // it was killed
	}
	var errs []error
	for _, l := range e.leases {
		errs = append(errs, l.Release())
	}
	return errors.Join(append(errs, os.RemoveAll(e.dir))...)
}

func (e *etcd) usage(ctx context.Context) (usage, error) { return usageOf(ctx, e.cmd.Process.Pid) }

func (e *etcd) client(ctx context.Context, o op) (client, error) {
	if o.kind == hives || o.kind == health || o.accept != "" || o.cached {
		return nil, errNotOffered
	}
	c, err := e.dial(ctx)
	if err != nil {
		return nil, err
	}
	leases := pb.NewLeaseClient(c.ActiveConnection())
	made := &etcdClient{op: o, client: c, leases: leases}
	if o.kind == heartbeat {
		if made.beats, err = leases.LeaseKeepAlive(ctx); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return made, nil
}

type etcdClient struct {
	op     op
	client *clientv3.Client
	leases pb.LeaseClient
	beats  pb.Lease_LeaseKeepAliveClient // one stream, as its own client has it
	last   int64
}

func (c *etcdClient) size() int64 { return c.last }
func (c *etcdClient) close()      { _ = c.client.Close() }

func (c *etcdClient) do(ctx context.Context, i int64) error {
	first := c.op.first + i*c.op.each()
	switch c.op.kind {
	case register:
		for n := range c.op.each() {
			if err := c.register(ctx, (first+n)%c.op.known); err != nil {
				return err
			}
		}
		return nil
	case heartbeat:
		return c.beat(first)
	default:
		answer, err := c.client.Get(ctx, etcdPrefix, clientv3.WithPrefix(), clientv3.WithLimit(c.op.known))
		if err != nil {
			return err
		}
		c.last = 0
		for _, kv := range answer.Kvs {
			c.last += int64(len(kv.Key) + len(kv.Value))
		}
		return nil
	}
}

// etcdLease is the lease of a component. They start at 1.
func etcdLease(number int64) int64 { return number + 1 }

func (c *etcdClient) register(ctx context.Context, number int64) error {
	id := etcdLease(number)
	if _, err := c.leases.LeaseGrant(ctx, &pb.LeaseGrantRequest{ID: id, TTL: etcdTTL}); err != nil {
		return err
	}
	digits := fmt.Sprintf("%0*d", len(blank), number)
	value := strings.ReplaceAll(registration, blank, digits)
	_, err := c.client.Put(ctx, etcdPrefix+idPrefix+digits, value, clientv3.WithLease(clientv3.LeaseID(id)))
	return err
}

// beat keeps the leases of a batch, all asked for before the first answer is read: it
// has no other batches.
func (c *etcdClient) beat(first int64) error {
	for n := range c.op.each() {
		if err := c.beats.Send(&pb.LeaseKeepAliveRequest{ID: etcdLease((first + n) % c.op.known)}); err != nil {
			return err
		}
	}
	for range c.op.each() {
		answer, err := c.beats.Recv()
		if err != nil {
			return err
		}
		if answer.TTL <= 0 {
			return fmt.Errorf("knows lease %d no more", answer.ID)
		}
	}
	return nil
}

// etcdConnections are what watchers share: its client has any number on one.
const etcdConnections = 10

func (e *etcd) watch(ctx context.Context, watchers int, saw func(watcher int, number int64)) (wait func(), err error) {
	var (
		clients []*clientv3.Client
		wg      sync.WaitGroup
	)
	wait = func() {
		for _, c := range clients {
			_ = c.Close()
		}
		wg.Wait()
	}
	for range etcdConnections {
		c, err := e.dial(ctx)
		if err != nil {
			wait()
			return nil, err
		}
		clients = append(clients, c)
	}
	for i := range watchers {
		events := clients[i%len(clients)].Watch(ctx, etcdPrefix, clientv3.WithPrefix(), clientv3.WithCreatedNotify())
		select {
		case <-events: // it is made
		case <-ctx.Done():
			wait()
			return nil, ctx.Err()
		}
		wg.Go(func() {
			for answer := range events {
				for _, event := range answer.Events {
					saw(i, numberIn(bytes.TrimPrefix(event.Kv.Key, []byte(etcdPrefix))))
				}
			}
		})
	}
	return wait, nil
}
