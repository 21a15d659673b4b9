// Package ports hands out free TCP ports as leases that no two launchers on the
// machine hold at the same time, whoever's launchers they are.
//
//	lease, err := ports.Acquire(ctx, ports.Config{}) // one of 8080-8200
//	if err != nil {
//		return err // names the range and who holds what
//	}
//	defer lease.Release()
//	server := exec.Command("some-server", "--port", strconv.Itoa(lease.Port()))
//
// A lease is a locked file, one per port, in a directory that all users of the
// machine share. The kernel drops the lock when its holder dies, so a lease never
// outlives its launcher; children do not inherit it. Before a port is handed out it
// is bound for an instant, so that ports of programs that know nothing of leases
// are seen too, even of those that have bound and do not listen yet.
//
// What it does not do: it can't keep a program that takes no lease from binding a
// leased port a moment later, it does not pass an open socket to a child, and it
// knows nothing about what runs on a port. Launchers that see different /tmp
// directories (containers) share no leases; the bind still tells them apart.
package ports
