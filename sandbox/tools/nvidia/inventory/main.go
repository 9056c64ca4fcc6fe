// Command gpu-inventory says in JSON what NVIDIA's go-nvlib sees of the GPUs through the driver's library. The
// sandbox's device plugin and feature discovery ask it, where NVIDIA's have go-nvlib built in: they are linked
// without C, and the library is loaded by C.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/NVIDIA/go-nvlib/pkg/nvlib/device"
	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

const mebibyte = 1 << 20

// Inventory has the fields of the operator's own, by which it is read: sandbox/tools/kubernetes/operator/gpu.
type Inventory struct {
	GPUs     []GPU
	CUDA     string
	Profiles map[string]Profile
}

// GPU is one physical GPU.
type GPU struct {
	Index                                 int
	Name, UUID, Driver, ComputeCapability string
	MemoryMiB                             uint64
	MIGCapable, MIGEnabled                bool
	MIGDevices                            []MIGDevice
}

// MIGDevice is a compute instance in a GPU instance.
type MIGDevice struct{ Profile, UUID string }

// Profile is what the MIG devices of a profile have.
type Profile struct {
	MemoryMiB                                          uint64
	Multiprocessors, Decoder, Encoder, Copy, JPEG, OFA uint32
}

func main() {
	inventory, err := read(nvml.New())
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(inventory)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gpu-inventory:", err)
		os.Exit(1)
	}
}

func read(library nvml.Interface) (*Inventory, error) {
	if err := checked("nvmlInit", library.Init()); err != nil {
		return nil, err
	}
	defer library.Shutdown()
	driver, code := library.SystemGetDriverVersion()
	if err := checked("nvmlSystemGetDriverVersion", code); err != nil {
		return nil, err
	}
	cuda, code := library.SystemGetCudaDriverVersion_v2()
	if err := checked("nvmlSystemGetCudaDriverVersion_v2", code); err != nil {
		return nil, err
	}
	inventory := &Inventory{CUDA: fmt.Sprintf("%d.%d", cuda/1000, cuda%1000/10), Profiles: map[string]Profile{}}
	err := device.New(library).VisitDevices(func(index int, seen device.Device) error {
		gpu, err := inventory.describe(seen)
		if err != nil {
			return fmt.Errorf("GPU %d: %w", index, err)
		}
		gpu.Index, gpu.Driver = index, driver
		inventory.GPUs = append(inventory.GPUs, gpu)
		return nil
	})
	return inventory, err
}

func (inventory *Inventory) describe(seen device.Device) (gpu GPU, err error) {
	var code nvml.Return
	if gpu.Name, code = seen.GetName(); code != nvml.SUCCESS {
		return gpu, checked("nvmlDeviceGetName", code)
	}
	if gpu.UUID, code = seen.GetUUID(); code != nvml.SUCCESS {
		return gpu, checked("nvmlDeviceGetUUID", code)
	}
	memory, code := seen.GetMemoryInfo()
	if code != nvml.SUCCESS {
		return gpu, checked("nvmlDeviceGetMemoryInfo", code)
	}
	gpu.MemoryMiB = memory.Total / mebibyte
	if gpu.ComputeCapability, err = seen.GetCudaComputeCapabilityAsString(); err != nil {
		return gpu, err
	}
	if gpu.MIGCapable, err = seen.IsMigCapable(); err != nil {
		return gpu, err
	}
	if gpu.MIGEnabled, err = seen.IsMigEnabled(); err != nil || !gpu.MIGEnabled {
		return gpu, err
	}
	return gpu, seen.VisitMigDevices(func(_ int, mig device.MigDevice) error {
		profile, err := mig.GetProfile()
		if err != nil {
			return err
		}
		uuid, code := mig.GetUUID()
		if code != nvml.SUCCESS {
			return checked("nvmlDeviceGetUUID of a MIG device", code)
		}
		has, code := mig.GetAttributes()
		if code != nvml.SUCCESS {
			return checked("nvmlDeviceGetAttributes", code)
		}
		gpu.MIGDevices = append(gpu.MIGDevices, MIGDevice{profile.String(), uuid})
		inventory.Profiles[profile.String()] = Profile{
			MemoryMiB: has.MemorySizeMB, Multiprocessors: has.MultiprocessorCount, Decoder: has.SharedDecoderCount,
			Encoder: has.SharedEncoderCount, Copy: has.SharedCopyEngineCount, JPEG: has.SharedJpegCount, OFA: has.SharedOfaCount,
		}
		return nil
	})
}

func checked(function string, code nvml.Return) error {
	if code == nvml.SUCCESS {
		return nil
	}
	return fmt.Errorf("%s: %w", function, code)
}
