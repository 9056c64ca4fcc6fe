// Package gpu knows the GPUs of a machine, and what NVIDIA's device plugin and feature discovery make of them under
// each MIG strategy.
package gpu

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// Inventory is what there was at one moment.
type Inventory struct {
	GPUs []GPU
	// CUDA is the newest CUDA version the driver serves, "13.0".
	CUDA string
	// Profiles of the MIG devices that there are, by name ("1g.10gb").
	Profiles map[string]Profile
}

// inventoryProgram sees the GPUs through NVIDIA's go-nvlib; it lies beside this one in the image.
const inventoryProgram = "/usr/bin/gpu-inventory"

// Seen is the inventory as NVIDIA's go-nvlib has it, for the device plugin and those who look as it does.
func Seen(ctx context.Context) (*Inventory, error) {
	said, err := output(exec.CommandContext(ctx, inventoryProgram))
	if err != nil {
		return nil, err
	}
	inventory := &Inventory{}
	if err := json.Unmarshal([]byte(said), inventory); err != nil {
		return nil, fmt.Errorf("cannot read what %s says: %w", inventoryProgram, err)
	}
	return inventory, nil
}

// GPU is one physical GPU.
type GPU struct {
	Index             int
	Name              string // "NVIDIA A100 80GB PCIe"
	UUID              string
	MemoryMiB         int
	Driver            string // "580.159.04"
	ComputeCapability string // "8.0"
	MIGCapable        bool
	MIGEnabled        bool
	MIGDevices        []MIGDevice
}

// MIGDevice is a compute instance in a GPU instance: what a container is given.
type MIGDevice struct {
	Profile string // "3g.40gb", or "1c.3g.40gb" where the compute instance does not fill its GPU instance
	UUID    string
}

// Computes tells whether CUDA finds a device: a GPU with MIG mode off, or a MIG device.
func (inventory *Inventory) Computes() bool {
	for _, device := range inventory.GPUs {
		if !device.MIGEnabled || len(device.MIGDevices) > 0 {
			return true
		}
	}
	return false
}

// Profile is what a MIG device of this profile has.
type Profile struct {
	MemoryMiB                                          int
	Multiprocessors, Decoder, Encoder, Copy, JPEG, OFA int
}

// Runner runs nvidia-smi with arguments and returns its standard output.
type Runner func(ctx context.Context, arguments ...string) (string, error)

// NvidiaSMI is the Runner of the nvidia-smi on PATH.
func NvidiaSMI(ctx context.Context, arguments ...string) (string, error) {
	return output(exec.CommandContext(ctx, "nvidia-smi", arguments...))
}

func output(command *exec.Cmd) (string, error) {
	out, err := command.Output()
	if err != nil {
		said := strings.TrimSpace(string(out))
		if exit, ok := err.(*exec.ExitError); ok && len(exit.Stderr) > 0 {
			said = strings.TrimSpace(said + "\n" + string(exit.Stderr))
		}
		return "", fmt.Errorf("%s: %w: %s", strings.Join(command.Args, " "), err, said)
	}
	return string(out), nil
}

const query = "index,name,uuid,memory.total,driver_version,compute_cap,mig.mode.current"

var (
	gpuLine = regexp.MustCompile(`^GPU (\d+): .* \(UUID: GPU-[^)]+\)`)
	migLine = regexp.MustCompile(`^\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (MIG-[^)]+)\)`)
)

// Read asks nvidia-smi for GPUs and MIG devices, as MIG Manager does, which works on the machine and not in its pod. A
// machine without a GPU gives an empty inventory only if nvidia-smi says so with success; a driver that does not answer
// is an error.
func Read(ctx context.Context, run Runner) (*Inventory, error) {
	table, err := run(ctx, "--query-gpu="+query, "--format=csv,noheader,nounits")
	if err != nil {
		return nil, err
	}
	inventory := &Inventory{}
	if inventory.GPUs, err = parseQuery(table); err != nil {
		return nil, err
	}
	list, err := run(ctx, "-L")
	if err != nil {
		return nil, err
	}
	return inventory, addMIGDevices(inventory.GPUs, list)
}

func parseQuery(table string) ([]GPU, error) {
	reader := csv.NewReader(strings.NewReader(table))
	reader.TrimLeadingSpace = true
	reader.FieldsPerRecord = len(strings.Split(query, ","))
	records, err := reader.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("cannot read the answer to --query-gpu=%s: %w", query, err)
	}
	var gpus []GPU
	for _, record := range records {
		index, err := strconv.Atoi(record[0])
		if err != nil {
			return nil, fmt.Errorf("GPU index %q is not a number", record[0])
		}
		memory, err := strconv.Atoi(record[3])
		if err != nil {
			return nil, fmt.Errorf("GPU %d: memory.total %q is not a number of MiB", index, record[3])
		}
		mode := record[6]
		gpus = append(gpus, GPU{
			Index: index, Name: record[1], UUID: record[2], MemoryMiB: memory, Driver: record[4],
			ComputeCapability: record[5], MIGCapable: mode == "Enabled" || mode == "Disabled", MIGEnabled: mode == "Enabled",
		})
	}
	return gpus, nil
}

func addMIGDevices(gpus []GPU, list string) error {
	byIndex := map[int]*GPU{}
	for i := range gpus {
		byIndex[gpus[i].Index] = &gpus[i]
	}
	var current *GPU
	for _, line := range strings.Split(list, "\n") {
		if found := gpuLine.FindStringSubmatch(line); found != nil {
			index, _ := strconv.Atoi(found[1]) // the expression only lets digits through
			if current = byIndex[index]; current == nil {
				return fmt.Errorf("nvidia-smi -L names GPU %d, which --query-gpu did not", index)
			}
		} else if found := migLine.FindStringSubmatch(line); found != nil {
			if current == nil {
				return fmt.Errorf("nvidia-smi -L names a MIG device before any GPU: %q", line)
			}
			current.MIGDevices = append(current.MIGDevices, MIGDevice{Profile: found[1], UUID: found[2]})
		}
	}
	return nil
}
