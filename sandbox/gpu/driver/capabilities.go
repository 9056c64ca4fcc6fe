package driver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const capabilitiesFolder = "nvidia-caps"

// How the driver numbers the capabilities, whether there is such an instance or not: 15 GPU instances for each of 32
// GPUs, each with 8 compute instances (mig-minors of the captured H100).
const (
	gpusNumbered     = 32
	instancesOfAGPU  = 15
	computeInstances = 8
	firstInstance    = 3
)

// capability is what a process must have the device file of, to use or change a part of MIG.
type capability struct {
	name  string // in mig-minors
	path  string // below /proc/driver/nvidia/capabilities
	minor int
	mode  int // of its device file
}

var (
	configCapability  = capability{"config", "mig/config", 1, 0o400}
	monitorCapability = capability{"monitor", "mig/monitor", 2, 0o444}
)

func (c capability) deviceFile() DeviceFile {
	return DeviceFile{fmt.Sprintf("%s/nvidia-cap%d", capabilitiesFolder, c.minor), majorCapabilities, c.minor, os.FileMode(c.mode)}
}

func instanceCapability(gpu GPU, instance int) capability {
	minor := firstInstance + (gpu.Index*instancesOfAGPU+instance)*(1+computeInstances)
	return capability{
		fmt.Sprintf("gpu%d/gi%d/access", gpu.Index, instance),
		fmt.Sprintf("gpu%d/mig/gi%d/access", gpu.Index, instance), minor, 0o444,
	}
}

func computeCapability(gpu GPU, instance, compute int) capability {
	return capability{
		fmt.Sprintf("gpu%d/gi%d/ci%d/access", gpu.Index, instance, compute),
		fmt.Sprintf("gpu%d/mig/gi%d/ci%d/access", gpu.Index, instance, compute),
		instanceCapability(gpu, instance).minor + 1 + compute, 0o444,
	}
}

// capabilities are those of the instances that exist.
func (state *State) capabilities(gpus []GPU) []capability {
	var found []capability
	for _, gpu := range gpus {
		for _, instance := range state.of(gpu).Instances {
			found = append(found, instanceCapability(gpu, instance.ID))
			for _, compute := range instance.Compute {
				found = append(found, computeCapability(gpu, instance.ID, compute.ID))
			}
		}
	}
	return found
}

// showInstances lets /proc and /dev have what there is now of instances.
func (state *State) showInstances(gpus []GPU) error {
	if deviceFolder() == "" {
		return nil
	}
	capabilities := state.capabilities(gpus)
	wanted := controlFiles()
	for _, gpu := range gpus {
		wanted = append(wanted, gpu.deviceFile())
	}
	for _, each := range capabilities {
		wanted = append(wanted, each.deviceFile())
	}
	capabilities = append(capabilities, configCapability, monitorCapability)
	return errors.Join(showCapabilities(gpus, capabilities), makeDeviceFiles(wanted))
}

func showCapabilities(gpus []GPU, capabilities []capability) error {
	folder := filepath.Join(ProcFolder(), "nvidia/capabilities")
	if err := os.RemoveAll(folder); err != nil {
		return err
	}
	for _, gpu := range gpus {
		if err := os.MkdirAll(filepath.Join(folder, fmt.Sprintf("gpu%d/mig", gpu.Index)), 0o755); err != nil {
			return err
		}
	}
	for _, each := range capabilities {
		says := fmt.Sprintf("DeviceFileMinor: %d\nDeviceFileMode: %d\nDeviceFileModify: 1\n", each.minor, each.mode)
		if err := show(filepath.Join(folder, each.path), says); err != nil {
			return err
		}
	}
	return nil
}

// migMinors is /proc/driver/nvidia-caps/mig-minors.
func migMinors() string {
	var lines strings.Builder
	line := func(c capability) { fmt.Fprintf(&lines, "%s %d\n", c.name, c.minor) }
	line(configCapability)
	line(monitorCapability)
	for index := range gpusNumbered {
		for instance := range instancesOfAGPU {
			gpu := GPU{Index: index}
			line(instanceCapability(gpu, instance))
			for compute := range computeInstances {
				line(computeCapability(gpu, instance, compute))
			}
		}
	}
	return lines.String()
}
