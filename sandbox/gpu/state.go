package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// State is what a reboot takes away: state.json in the volatile directory, by GPU UUID.
type State struct {
	GPUs      map[string]*GPUState `json:"gpus"`
	Creations int                  `json:"creations"` // GPU instances asked for since faults.json was written
	FaultsAt  int64                `json:"faults_at"` // when that was, in nanoseconds since 1970; 0: there is none
}

// GPUState is one GPU's MIG mode and instances.
type GPUState struct {
	Mode      bool          `json:"mode"`    // current
	Pending   bool          `json:"pending"` // only where the mode needs no reset; else the InfoROM has it
	Instances []GPUInstance `json:"instances"`
}

// GPUInstance is a GPU instance and the compute instances in it.
type GPUInstance struct {
	ID      int               `json:"id"`
	Profile int               `json:"profile"`
	Start   int               `json:"start"`
	Compute []ComputeInstance `json:"compute"`
}

// ComputeInstance occupies compute slices of its GPU instance.
type ComputeInstance struct {
	ID      int `json:"id"`
	Profile int `json:"profile"`
	Start   int `json:"start"`
}

func (state *State) of(gpu GPU) *GPUState {
	if state.GPUs == nil {
		state.GPUs = map[string]*GPUState{}
	}
	if state.GPUs[gpu.UUID] == nil {
		state.GPUs[gpu.UUID] = &GPUState{}
	}
	return state.GPUs[gpu.UUID]
}

func statePath() string { return filepath.Join(volatileDirectory(), "state.json") }

func readState() (*State, error) {
	state := &State{}
	return state, readJSON(statePath(), state)
}

func (state *State) write() error { return writeJSON(statePath(), state, forEverybody) }

// loadedDriver is the version in the marker that load-driver leaves; empty when no driver is loaded.
func loadedDriver() (string, error) {
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

// lock makes the caller the only writer until it calls the function it got. Readers need none: files change as a whole.
func lock() (func(), error) {
	file, err := os.OpenFile(filepath.Join(volatileDirectory(), "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}

func clientsDirectory() string { return filepath.Join(volatileDirectory(), "clients") }

// busyDevices are the UUIDs of GPUs and MIG devices in use: by a container (one file each in clients/) or by fault.
func busyDevices(faults Faults) ([]string, error) {
	busy := slices.Clone(faults.Busy)
	entries, err := os.ReadDir(clientsDirectory())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(clientsDirectory(), entry.Name()))
		if errors.Is(err, fs.ErrNotExist) { // that container just ended
			continue
		}
		if err != nil {
			return nil, err
		}
		busy = append(busy, strings.Fields(string(content))...)
	}
	return busy, nil
}
