package driver

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
	// Set by a client since the driver was loaded; nil: as GPU.Persistence has it.
	Persistence *bool `json:"persistence_mode,omitempty"`
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

// Instance is the GPU instance of this id, to be read or changed.
func (state *GPUState) Instance(id int) (*GPUInstance, bool) {
	at := slices.IndexFunc(state.Instances, func(instance GPUInstance) bool { return instance.ID == id })
	if at < 0 {
		return nil, false
	}
	return &state.Instances[at], true
}

func statePath() string { return filepath.Join(VolatileDirectory(), "state.json") }

func readState() (*State, error) {
	state := &State{}
	return state, ReadJSON(statePath(), state)
}

// write keeps the state and lets /proc and /dev follow it.
func (state *State) write(gpus []GPU) error {
	return errors.Join(WriteJSON(statePath(), state, ForEverybody), state.showInstances(gpus))
}

// lock makes the caller the only writer until it calls the function it got. Readers need none: files change as a whole.
func lock() (func(), error) {
	file, err := os.OpenFile(filepath.Join(VolatileDirectory(), "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		file.Close()
		return nil, err
	}
	return func() { file.Close() }, nil
}

// ClientsDirectory has a file of UUIDs for each container that was given devices.
func ClientsDirectory() string { return filepath.Join(VolatileDirectory(), "clients") }

// busyDevices are the UUIDs of GPUs and MIG devices in use: by a container (one file each in clients/) or by fault.
func busyDevices(faults Faults) ([]string, error) {
	busy := slices.Clone(faults.Busy)
	entries, err := os.ReadDir(ClientsDirectory())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(ClientsDirectory(), entry.Name()))
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
