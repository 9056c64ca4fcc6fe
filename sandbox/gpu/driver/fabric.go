package driver

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// FabricPath is there while Fabric Manager has the GPUs joined.
func FabricPath() string { return filepath.Join(VolatileDirectory(), "fabric") }

// Joined tells whether the fabric serves this GPU: always where there is none.
func (gpu GPU) Joined(faults Faults) (bool, error) {
	if !gpu.NVSwitch {
		return true, nil
	}
	_, err := os.Stat(FabricPath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && !faults.FabricNotReady, err
}

// FabricState is how far a GPU is with joining its fabric.
type FabricState int

// NVML's numbers of them.
const (
	FabricNotSupported FabricState = 0
	FabricInProgress   FabricState = 2
	FabricCompleted    FabricState = 3
)

// KnowsFabric tells whether GPUs of this model say anything of a fabric. Those before Hopper do not, with NVSwitch or
// without.
func (model Model) KnowsFabric() bool { return model.Architecture != "Ampere" }

// Fabric is the state that clients are told.
func (s *Session) Fabric(device Device) (FabricState, error) {
	if !device.NVSwitch || !device.Model.KnowsFabric() {
		return FabricNotSupported, nil
	}
	if joined, err := device.Joined(s.Faults); err != nil || !joined {
		return FabricInProgress, err
	}
	return FabricCompleted, nil
}
