package inventory_test

import (
	"context"
	"fmt"
	"log"

	"github.com/rbee-launch/rbee-launch/internal/inventory"
)

func Example() {
	ctx := context.Background()
	inv := inventory.New(inventory.Config{ModelDirs: []string{"../../testdata"}})
	defer inv.Close(ctx)

	for _, m := range inv.Look(ctx).Models {
		fmt.Printf("%s: %s, %s, %d parameters, %d KB\n", m.Name, m.Architecture, m.Quantization, m.Parameters, m.SizeBytes/1000)
	}
	if m, err := inv.FindModel(ctx, "Tiny"); err != nil {
		log.Print(err)
	} else {
		fmt.Printf("with %d tokens of context it takes %d MB\n", m.MemoryContext, m.MemoryBytes/1_000_000)
	}
	// Output:
	// tiny: llama, F32, 123328 parameters, 503 KB
	// with 2048 tokens of context it takes 17 MB
}
