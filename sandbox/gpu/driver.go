package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const standardDriver = "580.159.04"

// modulesDirectory has the kernel modules that packages brought, by kernel release; a module of ours is a text: the
// driver's version and the module's kind, open or proprietary.
func modulesDirectory() string { return directory("GPU_MODULES", "/usr/lib/modules") }

// loadDriver is what modprobe runs for the module nvidia: `load-driver --kernel RELEASE` loads the module that is
// installed for this kernel, `load-driver [VERSION [KIND]]` this very one, and `load-driver --unload` is `modprobe -r`. A
// driver that is loaded already stays as it is.
func loadDriver(arguments []string) int {
	if err := changeDriver(arguments); err != nil {
		fmt.Fprintf(os.Stderr, "modprobe: %v\n", err)
		return 1
	}
	return 0
}

func changeDriver(arguments []string) error {
	if len(arguments) > 2 {
		return fmt.Errorf("load-driver takes --kernel RELEASE, VERSION KIND or --unload; got %q", arguments)
	}
	if err := os.MkdirAll(volatileDirectory(), 0o755); err != nil {
		return err
	}
	unlock, err := lock()
	if err != nil {
		return err
	}
	defer unlock()
	if len(arguments) == 1 && arguments[0] == "--unload" {
		return errors.Join(os.RemoveAll(markerPath()), os.RemoveAll(procDirectory()), os.RemoveAll(statePath()))
	}
	if loaded, err := loadedDriver(); err != nil || loaded != "" {
		return err
	}
	version, kind := standardDriver, "proprietary"
	switch {
	case len(arguments) == 2 && arguments[0] == "--kernel":
		if version, kind, err = installedModule(arguments[1]); err != nil {
			return err
		}
	case len(arguments) > 0:
		version = arguments[0]
		if len(arguments) == 2 {
			kind = arguments[1]
		}
	}
	if err := insert(version, kind); err != nil {
		return fmt.Errorf("ERROR: could not insert 'nvidia': %w", err)
	}
	return nil
}

// installedModule is version and kind of the module that a package brought for this kernel.
func installedModule(release string) (version, kind string, err error) {
	found, err := filepath.Glob(filepath.Join(modulesDirectory(), release, "kernel/nvidia-*/nvidia.ko"))
	if err != nil {
		return "", "", err
	}
	if len(found) == 0 {
		return "", "", fmt.Errorf("FATAL: Module nvidia not found in directory /lib/modules/%s", release)
	}
	content, err := os.ReadFile(found[0])
	if err != nil {
		return "", "", err
	}
	words := strings.Fields(string(content))
	if len(words) != 2 {
		return "", "", fmt.Errorf("FATAL: %s is no module: %q", found[0], content)
	}
	return words[0], words[1], nil
}

func insert(version, kind string) error {
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
	if err := os.MkdirAll(procDirectory(), 0o755); err != nil {
		return err
	}
	says := fmt.Sprintf("NVRM version: NVIDIA UNIX %s  %s  Release Build\n", about, version)
	if err := writeFile(filepath.Join(procDirectory(), "version"), []byte(says), forEverybody); err != nil {
		return err
	}
	return writeFile(markerPath(), []byte(version+"\n"), forEverybody)
}

// moduleNames are what each kind of module calls itself in /proc/driver/nvidia/version.
var moduleNames = map[string]string{"open": "Open Kernel Module for x86_64", "proprietary": "x86_64 Kernel Module"}

// procDirectory is what a machine has as /proc/driver/nvidia.
func procDirectory() string { return filepath.Join(volatileDirectory(), "proc/nvidia") }

func markerPath() string { return filepath.Join(volatileDirectory(), "driver") }

// mismatch tells whether the loaded module is of another version than the library that nvidia-smi and CUDA use. Where
// no package brought a library, as in a container, it is taken for the module's.
func mismatch(loaded string, faults Faults) (bool, error) {
	content, err := os.ReadFile(directory("GPU_LIBRARY", "/usr/lib/x86_64-linux-gnu/libnvidia-ml.so.1"))
	if errors.Is(err, fs.ErrNotExist) {
		return faults.DriverMismatch, nil
	}
	return faults.DriverMismatch || strings.TrimSpace(string(content)) != loaded, err
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
		gpu, model := gpus[at], catalogue.model(gpus[at].Model)
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
