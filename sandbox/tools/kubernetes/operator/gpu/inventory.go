// Package gpu knows the GPUs of a machine as nvidia-smi tells them, and what NVIDIA's device plugin and feature
// discovery make of them under each MIG strategy.
package gpu

import (
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

// Inventory is what nvidia-smi said at one moment.
type Inventory struct {
	GPUs []GPU
	// CUDA is the newest CUDA version the driver serves, "13.0".
	CUDA string
	// Profiles by name ("1g.10gb"); only read when there are MIG devices to describe.
	Profiles map[string]Profile
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

// Profile is a line of `nvidia-smi mig -lgip`.
type Profile struct {
	MemoryMiB                                          int
	Multiprocessors, Decoder, Encoder, Copy, JPEG, OFA int
}

// Runner runs nvidia-smi with arguments and returns its standard output.
type Runner func(ctx context.Context, arguments ...string) (string, error)

// NvidiaSMI is the Runner of the nvidia-smi on PATH.
func NvidiaSMI(ctx context.Context, arguments ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "nvidia-smi", arguments...).Output()
	if err != nil {
		said := strings.TrimSpace(string(out))
		if exit, ok := err.(*exec.ExitError); ok && len(exit.Stderr) > 0 {
			said = strings.TrimSpace(said + "\n" + string(exit.Stderr))
		}
		return "", fmt.Errorf("nvidia-smi %s: %w: %s", strings.Join(arguments, " "), err, said)
	}
	return string(out), nil
}

const query = "index,name,uuid,memory.total,driver_version,compute_cap,mig.mode.current"

var (
	cudaVersion = regexp.MustCompile(`CUDA Version: (\d+\.\d+)`)
	gpuLine     = regexp.MustCompile(`^GPU (\d+): .* \(UUID: GPU-[^)]+\)`)
	migLine     = regexp.MustCompile(`^\s+MIG (\S+)\s+Device\s+\d+: \(UUID: (MIG-[^)]+)\)`)
	// Two lines a profile: GPU, name, id, free/total, GiB, P2P, SM, DEC, ENC; then CE, JPEG, OFA.
	profileFirst  = regexp.MustCompile(`^\|\s+\d+\s+MIG (\S+)\s+\d+\s+\d+/\d+\s+([\d.]+)\s+\S+\s+(\d+)\s+(\d+)\s+(\d+)\s+\|$`)
	profileSecond = regexp.MustCompile(`^\|\s+(\d+)\s+(\d+)\s+(\d+)\s+\|$`)
)

// Read asks nvidia-smi for everything. A machine without a GPU gives an empty inventory only if nvidia-smi says so
// with success; a driver that does not answer is an error.
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
	if err := addMIGDevices(inventory.GPUs, list); err != nil {
		return nil, err
	}
	summary, err := run(ctx)
	if err != nil {
		return nil, err
	}
	if found := cudaVersion.FindStringSubmatch(summary); found != nil {
		inventory.CUDA = found[1]
	}
	for _, device := range inventory.GPUs {
		if len(device.MIGDevices) > 0 {
			profiles, err := run(ctx, "mig", "-lgip")
			if err != nil {
				return nil, err
			}
			inventory.Profiles, err = parseProfiles(profiles)
			return inventory, err
		}
	}
	return inventory, nil
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

// parseProfiles reads -lgip. The GPUs of an Azure machine are alike, so the first GPU to name a profile speaks for all.
func parseProfiles(text string) (map[string]Profile, error) {
	profiles := map[string]Profile{}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		first := profileFirst.FindStringSubmatch(strings.TrimRight(line, " \r"))
		if first == nil {
			continue
		}
		if _, known := profiles[first[1]]; known {
			continue
		}
		if i+1 == len(lines) {
			return nil, fmt.Errorf("nvidia-smi mig -lgip ends within profile %s", first[1])
		}
		second := profileSecond.FindStringSubmatch(strings.TrimRight(lines[i+1], " \r"))
		gib, err := strconv.ParseFloat(first[2], 64)
		if second == nil || err != nil {
			return nil, fmt.Errorf("cannot read profile %s of nvidia-smi mig -lgip: %q", first[1], lines[i:i+2])
		}
		profiles[first[1]] = Profile{
			MemoryMiB: mebibytes(gib), Multiprocessors: number(first[3]), Decoder: number(first[4]),
			Encoder: number(first[5]), Copy: number(second[1]), JPEG: number(second[2]), OFA: number(second[3]),
		}
	}
	return profiles, nil
}

// mebibytes undoes nvidia-smi's rounding to hundredths of a GiB: memory is given to instances in steps of 64 MiB.
func mebibytes(gib float64) int {
	return int(math.Round(gib*1024/64)) * 64
}

// number converts what an expression has already held to digits.
func number(digits string) int {
	value, _ := strconv.Atoi(digits)
	return value
}
