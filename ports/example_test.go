package ports_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rbee-launch/rbee-launch/ports"
)

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	r, err := ports.ParseRange("19000-19400")
	if err != nil {
		fmt.Println(err)
		return
	}
	lease, err := ports.Acquire(context.Background(), ports.Config{Range: r, Dir: filepath.Join(dir, "leases")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer lease.Release()
	fmt.Println("inside the range:", r.First <= lease.Port() && lease.Port() <= r.Last)
	// Output: inside the range: true
}
