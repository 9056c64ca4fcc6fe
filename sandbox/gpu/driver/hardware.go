package driver

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// GPU is one GPU plugged into this machine: an entry of gpus.json. The fields after PCIBusID are optional and replace
// what the model says.
type GPU struct {
	Index       int    `json:"index"`
	Model       string `json:"model"`
	UUID        string `json:"uuid"`
	PCIBusID    string `json:"pci_bus_id"`
	Name        string `json:"name"`
	Persistence *bool  `json:"persistence_mode"` // nil: on, as nvidia-persistenced leaves it
	UsedMiB     int    `json:"memory_used_mib"`
	Watt        int    `json:"power_w"`
	Celsius     int    `json:"temperature_c"`
	NVSwitch    bool   `json:"nvswitch"`  // joined to the others, so that CUDA needs Fabric Manager
	ModuleID    int    `json:"module_id"` // of the socket on the board
}

// product is the name that the GPU says of itself: its model's, unless it has another.
func (gpu GPU) product() string { return cmp.Or(gpu.Name, catalogue.model(gpu.Model).Name) }

// Faults is faults.json: what goes wrong on purpose. GPUs are named by index.
type Faults struct {
	// The k-th GPU instance asked for after the file was written is refused, once.
	CreationFailsAt int `json:"cgi_fails_at"`
	// Creation says that it succeeds and makes nothing.
	CreationClaims bool `json:"cgi_claims_success"`
	// A new MIG mode is not taken up, whatever is rebooted.
	ModeStaysPending bool `json:"mode_stays_pending"`
	// Calls of nvidia-smi whose arguments contain this never end; " " means all.
	Hang string `json:"hang"`
	// These GPUs do not answer.
	OffTheBus []int `json:"off_the_bus"`
	// Somebody uses these MIG devices and GPUs, by UUID.
	Busy []string `json:"busy"`
	// Somebody else makes these instances as soon as MIG mode is on.
	Foreign []ForeignRequest `json:"foreign"`
	// nvidia-smi and the kernel module are of different versions.
	DriverMismatch bool `json:"driver_mismatch"`
	// The kernel module finds no GPU it knows.
	DriverDoesNotLoad bool `json:"driver_does_not_load"`
	// GPUs do not join the fabric, although Fabric Manager runs.
	FabricNotReady bool `json:"fabric_not_ready"`

	writtenAt int64
}

// ForeignRequest is an instance nobody asked us for.
type ForeignRequest struct {
	GPU     int    `json:"gpu"`
	Profile string `json:"profile"`
	Start   int    `json:"start"`
}

// HardwareDirectory has what a machine keeps without power: gpus.json, faults.json and inforom.json.
func HardwareDirectory() string { return directory("GPU_HARDWARE", "/hardware") }

// VolatileDirectory has what a reboot takes away.
func VolatileDirectory() string { return directory("GPU_VOLATILE", "/run/gpu") }

func directory(variable, standard string) string {
	if value := os.Getenv(variable); value != "" {
		return value
	}
	return standard
}

// ReadGPUs gives what is plugged in, whether a driver is loaded or not.
func ReadGPUs() ([]GPU, error) {
	var gpus []GPU
	if err := ReadJSON(filepath.Join(HardwareDirectory(), "gpus.json"), &gpus); err != nil {
		return nil, err
	}
	for _, gpu := range gpus {
		if _, known := catalogue.models[gpu.Model]; !known {
			return nil, fmt.Errorf("gpus.json: GPU %d has the unknown model %q", gpu.Index, gpu.Model)
		}
	}
	return gpus, nil
}

func readFaults() (Faults, error) {
	var faults Faults
	path := filepath.Join(HardwareDirectory(), "faults.json")
	if about, err := os.Stat(path); err == nil {
		faults.writtenAt = about.ModTime().UnixNano()
	}
	return faults, ReadJSON(path, &faults)
}

// readInfoROM gives the MIG mode to take up at the next reset, by GPU UUID, of the GPUs that store it.
func readInfoROM() (map[string]bool, error) {
	modes := map[string]bool{}
	return modes, ReadJSON(filepath.Join(HardwareDirectory(), "inforom.json"), &modes)
}

func writeInfoROM(modes map[string]bool) error {
	return WriteJSON(filepath.Join(HardwareDirectory(), "inforom.json"), modes, ForEverybody)
}

// ReadJSON leaves value as it is if there is no such file.
func ReadJSON(path string, value any) error {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(content, value); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// ForEverybody lets containers that do not run as root read a file.
const ForEverybody fs.FileMode = 0o644

// WriteJSON replaces a file by this value.
func WriteJSON(path string, value any, mode fs.FileMode) error {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return WriteFile(path, append(content, '\n'), mode)
}

// WriteFile replaces a file as a whole.
func WriteFile(path string, content []byte, mode fs.FileMode) error {
	draft, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	_, err = draft.Write(content)
	err = errors.Join(err, draft.Chmod(mode), draft.Close())
	if err != nil {
		return err
	}
	return os.Rename(draft.Name(), path)
}
