package driver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// StandardVersion is the driver that is loaded where nobody names another.
const StandardVersion = "580.159.04"

// Change runs act while nobody else changes the driver: one of Load and Unload.
func Change(act func() error) error {
	if err := os.MkdirAll(VolatileDirectory(), 0o755); err != nil {
		return err
	}
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	return act()
}

// Unload takes the module away, and all that the GPUs had been set to.
func Unload() error {
	return errors.Join(os.RemoveAll(markerPath()), removeProcFiles(), os.RemoveAll(statePath()), removeDeviceFiles())
}

// Load puts a module of this version and kind (open or proprietary) into the kernel, which resets the GPUs.
func Load(version, kind string) error {
	faults, err := readFaults()
	if err != nil {
		return err
	}
	gpus, err := ReadGPUs()
	if err != nil {
		return err
	}
	if len(gpus) == 0 || faults.DriverDoesNotLoad {
		return fmt.Errorf("No such device")
	}
	if _, known := catalogue.CUDA[branchOf(version)]; !known {
		return fmt.Errorf("driver %q is not one that this GPU was captured with: 515 (the tutorial's) and 580", version)
	}
	about, known := moduleNames[kind]
	if !known {
		return fmt.Errorf("a module is open or proprietary, not %q", kind)
	}
	if err := resetGPUs(gpus, faults); err != nil {
		return err
	}
	if err := showDriver(version, about, gpus); err != nil {
		return err
	}
	return WriteFile(markerPath(), []byte(version+"\n"), ForEverybody)
}

// moduleNames are what each kind of module calls itself in /proc/driver/nvidia/version.
var moduleNames = map[string]string{"open": "Open Kernel Module for x86_64", "proprietary": "x86_64 Kernel Module"}

// LoadedVersion is the version in the marker that Load leaves; empty when no driver is loaded.
func LoadedVersion() (string, error) {
	content, err := os.ReadFile(markerPath())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(content)), err
}

// branchOf is the major number of a driver version.
func branchOf(version string) int {
	major, _, _ := strings.Cut(version, ".")
	branch, err := strconv.Atoi(major)
	if err != nil {
		return 0
	}
	return branch
}

func markerPath() string { return filepath.Join(VolatileDirectory(), "driver") }

// mismatch tells whether the loaded module is of another version than the library that nvidia-smi and CUDA use. Where
// no package brought a library, as in a container, it is taken for the module's.
func mismatch(loaded string, faults Faults) (bool, error) {
	library, err := os.Readlink(directory("GPU_LIBRARY", "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"))
	if errors.Is(err, fs.ErrNotExist) {
		return faults.DriverMismatch, nil
	}
	return faults.DriverMismatch || filepath.Base(library) != "libnvidia-ml.so."+loaded, err
}

// resetGPUs puts every GPU into the state it has after a boot: no instances, the MIG mode the InfoROM keeps, or none.
func resetGPUs(gpus []GPU, faults Faults) error {
	infoROM, err := readInfoROM()
	if err != nil {
		return err
	}
	state := &State{}
	for _, gpu := range gpus {
		kept := infoROM[gpu.UUID] && !faults.ModeStaysPending
		*state.of(gpu) = GPUState{Mode: kept, Pending: kept}
	}
	if err := state.addForeign(gpus, faults); err != nil {
		return err
	}
	return state.write(gpus)
}

// addForeign makes the instances that faults.json says somebody else makes, on GPUs whose MIG mode is on.
func (state *State) addForeign(gpus []GPU, faults Faults) error {
	for _, foreign := range faults.Foreign {
		at := slices.IndexFunc(gpus, func(gpu GPU) bool { return gpu.Index == foreign.GPU })
		if at < 0 {
			return fmt.Errorf("faults.json: foreign instance on GPU %d, which is not there", foreign.GPU)
		}
		gpu, model := gpus[at], catalogue.model(gpus[at].Model)
		profile, known := model.FindProfile(branchOf(StandardVersion), foreign.Profile)
		if !known || !slices.Contains(profile.Starts, foreign.Start) {
			return fmt.Errorf("faults.json: a %s has no %s:%d", gpu.Model, foreign.Profile, foreign.Start)
		}
		gpuState := state.of(gpu)
		if !gpuState.Mode || !model.fits(gpuState.Instances, profile, foreign.Start) {
			continue
		}
		gpuState.Instances = append(gpuState.Instances, GPUInstance{
			ID: model.instanceID(gpu, profile, foreign.Start), Profile: profile.ID, Start: foreign.Start,
			Compute: []ComputeInstance{{Profile: model.DefaultComputeProfile(profile).ID}},
		})
	}
	return nil
}
