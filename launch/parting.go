package launch

import (
	"context"
	"sync"
	"time"

	"github.com/rbee-launch/rbee-launch/registry"
)

// farewellLimit is how long registrars may take to hear that a launch without a launcher is
// stopped.
const farewellLimit = 2 * time.Second

// unregister says farewell for a launch whose launcher can't any more, until hurry ends. A
// registrar that does not hear it notices the silence.
func (o StopOptions) unregister(hurry context.Context, s state) {
	ctx, cancel := context.WithTimeout(hurry, farewellLimit)
	defer cancel()
	life := registry.Component{Kind: registry.Worker, ID: s.ID, InstanceID: s.InstanceID}
	var telling sync.WaitGroup
	for _, to := range o.Registrars {
		telling.Go(func() { _ = to.Unregister(ctx, life) })
	}
	telling.Wait()
}
