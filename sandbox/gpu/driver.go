package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

const standardDriver = "580.159.04"

// loadDriver is `load-driver [VERSION]`, what `modprobe nvidia` runs, and `load-driver --unload`, what `modprobe -r
// nvidia` runs. A driver that is loaded already stays as it is.
func loadDriver(arguments []string) int {
	if err := changeDriver(arguments); err != nil {
		fmt.Fprintf(os.Stderr, "modprobe: ERROR: could not insert 'nvidia': %v\n", err)
		return 1
	}
	return 0
}

func changeDriver(arguments []string) error {
	version := standardDriver
	switch {
	case len(arguments) > 1:
		return fmt.Errorf("load-driver takes one argument, a version or --unload; got %q", arguments)
	case len(arguments) == 1:
		version = arguments[0]
	}
	if err := os.MkdirAll(volatileDirectory(), 0o755); err != nil {
		return err
	}
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	marker := filepath.Join(volatileDirectory(), "driver")
	if version == "--unload" {
		if err := os.RemoveAll(marker); err != nil {
			return err
		}
		return os.RemoveAll(statePath())
	}
	faults, err := readFaults()
	if err != nil {
		return err
	}
	gpus, err := readGPUs()
	if err != nil {
		return err
	}
	if len(gpus) == 0 || faults.DriverDoesNotLoad {
		return fmt.Errorf("No such device")
	}
	if loaded, err := loadedDriver(); err != nil || loaded != "" {
		return err
	}
	if _, known := catalogue.CUDA[branchOf(version)]; !known {
		return fmt.Errorf("driver %q is not one that this GPU was captured with: 515 (the tutorial's) and 580", version)
	}
	if err := resetGPUs(gpus, faults); err != nil {
		return err
	}
	return writeFile(marker, []byte(version+"\n"), forEverybody)
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
	return state.write()
}

// addForeign makes the instances that faults.json says somebody else makes, on GPUs whose MIG mode is on.
func (state *State) addForeign(gpus []GPU, faults Faults) error {
	for _, foreign := range faults.Foreign {
		at := slices.IndexFunc(gpus, func(gpu GPU) bool { return gpu.Index == foreign.GPU })
		if at < 0 {
			return fmt.Errorf("faults.json: foreign instance on GPU %d, which is not there", foreign.GPU)
		}
		gpu, model := gpus[at], catalogue.Models[gpus[at].Model]
		profile, known := model.profile(branchOf(standardDriver), foreign.Profile)
		if !known || !slices.Contains(profile.Starts, foreign.Start) {
			return fmt.Errorf("faults.json: a %s has no %s:%d", gpu.Model, foreign.Profile, foreign.Start)
		}
		gpuState := state.of(gpu)
		if !gpuState.Mode || !model.fits(gpuState.Instances, profile, foreign.Start) {
			continue
		}
		gpuState.Instances = append(gpuState.Instances, GPUInstance{
			ID: model.instanceID(gpu, profile, foreign.Start), Profile: profile.ID, Start: foreign.Start,
			Compute: []ComputeInstance{{Profile: model.defaultComputeProfile(profile).ID}},
		})
	}
	return nil
}
