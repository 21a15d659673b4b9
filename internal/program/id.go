package program

import (
	"fmt"

	"github.com/rbee-launch/rbee-launch/registry"
)

// ID is a flag's value that names a component, as registries take it.
type ID string

// UnmarshalText is called by kong.
func (id *ID) UnmarshalText(text []byte) error {
	switch {
	case len(text) > registry.MaxID:
		return fmt.Errorf("an id of %d bytes is too long: %d are taken", len(text), registry.MaxID)
	case registry.HasControl(string(text)):
		return fmt.Errorf("%q has a control character in it", text)
	}
	*id = ID(text)
	return nil
}
