package driver

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// parameters is /proc/driver/nvidia/params as the captured H100 with driver 580.159.04 had it.
//
//go:embed params.txt
var parameters string

// ProcFolder is what a machine has as /proc/driver.
func ProcFolder() string { return filepath.Join(VolatileDirectory(), "proc") }

// showDriver makes what the loaded module shows in /proc/driver, without what changes with the instances.
func showDriver(version, about string, gpus []GPU) error {
	says := fmt.Sprintf("NVRM version: NVIDIA UNIX %s  %s  Release Build\n", about, version)
	err := show(filepath.Join(ProcFolder(), "nvidia/version"), says)
	if deviceFolder() == "" {
		return err
	}
	err = errors.Join(err,
		show(filepath.Join(ProcFolder(), "nvidia/params"), parameters),
		show(filepath.Join(ProcFolder(), "nvidia-caps/mig-minors"), migMinors()),
	)
	for _, gpu := range gpus {
		err = errors.Join(err, gpu.show(version))
	}
	return err
}

// show makes /proc/driver/nvidia/gpus/<bus id>/information, with what this GPU knows of it.
func (gpu GPU) show(version string) error {
	place, ok := ParseBusID(gpu.PCIBusID)
	if !ok {
		return fmt.Errorf("gpus.json: GPU %d has the PCI bus id %q", gpu.Index, gpu.PCIBusID)
	}
	bus := fmt.Sprintf("%04x:%02x:%02x.0", place.Domain, place.Bus, place.Device)
	says := fmt.Sprintf(
		"Model: \t\t %s\nGPU UUID: \t %s\nBus Type: \t PCIe\nBus Location: \t %s\nDevice Minor: \t %d\nGPU Firmware: \t %s\nGPU Excluded:\t No\n",
		gpu.product(), gpu.UUID, bus, gpu.Index, version,
	)
	return show(filepath.Join(ProcFolder(), "nvidia/gpus", bus, "information"), says)
}

func show(path, says string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return WriteFile(path, []byte(says), 0o444)
}

func removeProcFiles() error {
	return errors.Join(
		os.RemoveAll(filepath.Join(ProcFolder(), "nvidia")), os.RemoveAll(filepath.Join(ProcFolder(), "nvidia-caps")),
	)
}
