package gpu

import (
	"fmt"
	"strconv"
	"strings"
)

// Labels are the node labels of gpu-feature-discovery v0.20 without its timestamp; empty for a machine without a GPU.
// machine is the machine's product name as DMI tells it ("Virtual Machine"). The GPUs of a node are taken to be alike.
func (inventory *Inventory) Labels(strategy Strategy, machine string) map[string]string {
	if len(inventory.GPUs) == 0 {
		return map[string]string{}
	}
	first := inventory.GPUs[0]
	labels := map[string]string{
		"nvidia.com/gpu.machine":       dashed(machine),
		"nvidia.com/gpu.family":        family(first.ComputeCapability),
		"nvidia.com/gpu.mode":          "compute",
		"nvidia.com/mig.capable":       strconv.FormatBool(first.MIGCapable),
		"nvidia.com/mps.capable":       "false", // sharing is not stood in for
		"nvidia.com/gpu.count":         strconv.Itoa(len(inventory.GPUs)),
		"nvidia.com/gpu.memory":        strconv.Itoa(first.MemoryMiB),
		"nvidia.com/gpu.product":       dashed(first.Name),
		"nvidia.com/gpu.replicas":      "1",
		sharingLabel("nvidia.com/gpu"): "none",
	}
	addVersions(labels, "nvidia.com/gpu.compute", first.ComputeCapability, "major", "minor")
	addVersions(labels, "nvidia.com/cuda.driver", first.Driver, "major", "minor", "rev")
	addVersions(labels, "nvidia.com/cuda.driver-version", first.Driver, "major", "minor", "revision")
	addVersions(labels, "nvidia.com/cuda.runtime", inventory.CUDA, "major", "minor")
	addVersions(labels, "nvidia.com/cuda.runtime-version", inventory.CUDA, "major", "minor")
	labels["nvidia.com/cuda.driver-version.full"] = first.Driver
	labels["nvidia.com/cuda.runtime-version.full"] = inventory.CUDA
	if strategy != None {
		labels["nvidia.com/mig.strategy"] = string(strategy)
	}
	if inventory.anyMIGEnabled() {
		labels["nvidia.com/gpu.replicas"] = "0" // whole GPUs are not for the taking
		switch strategy {
		case Single:
			inventory.addSingle(labels, dashed(first.Name))
		case Mixed:
			inventory.addMixed(labels, dashed(first.Name))
		}
	}
	return labels
}

// addSingle makes the GPU labels speak of MIG devices, or of the fact that no single profile can be advertised.
func (inventory *Inventory) addSingle(labels map[string]string, product string) {
	profile, err := inventory.singleProfile()
	if err != nil {
		labels["nvidia.com/gpu.product"] = product + "-MIG-INVALID"
		labels["nvidia.com/gpu.count"] = "0"
		labels["nvidia.com/gpu.replicas"] = "0"
		labels["nvidia.com/gpu.memory"] = "0"
		return
	}
	count := 0
	for _, device := range inventory.GPUs {
		count += len(device.MIGDevices)
	}
	inventory.describe(labels, "nvidia.com/gpu", product, profile, count)
}

// addMixed gives every profile its own set of labels.
func (inventory *Inventory) addMixed(labels map[string]string, product string) {
	counts := map[string]int{}
	for _, device := range inventory.GPUs {
		for _, mig := range device.MIGDevices {
			if computeSlices(mig.Profile) == gpuSlices(mig.Profile) {
				counts[mig.Profile]++
			}
		}
	}
	for profile, count := range counts {
		inventory.describe(labels, "nvidia.com/mig-"+resourceName(profile), product, profile, count)
	}
}

func (inventory *Inventory) describe(labels map[string]string, resource, product, profile string, count int) {
	attributes := inventory.Profiles[profile]
	labels[resource+".count"] = strconv.Itoa(count)
	labels[resource+".replicas"] = "1"
	labels[sharingLabel(resource)] = "none"
	labels[resource+".product"] = product + "-MIG-" + resourceName(profile)
	for name, value := range map[string]int{
		"memory": attributes.MemoryMiB, "multiprocessors": attributes.Multiprocessors,
		"slices.gi": gpuSlices(profile), "slices.ci": computeSlices(profile),
		"engines.copy": attributes.Copy, "engines.decoder": attributes.Decoder, "engines.encoder": attributes.Encoder,
		"engines.jpeg": attributes.JPEG, "engines.ofa": attributes.OFA,
	} {
		labels[resource+"."+name] = strconv.Itoa(value)
	}
}

func sharingLabel(resource string) string { return resource + ".sharing-strategy" }

func dashed(text string) string { return strings.Join(strings.Fields(text), "-") }

// addVersions splits "580.159.04" over labels prefix.major, prefix.minor …; parts that are missing are left out.
func addVersions(labels map[string]string, prefix, version string, parts ...string) {
	for i, value := range strings.SplitN(version, ".", len(parts)) {
		if value != "" {
			labels[prefix+"."+parts[i]] = value
		}
	}
}

// family is the architecture's name by compute capability, as CUDA's table has it.
func family(capability string) string {
	var major, minor int
	if _, err := fmt.Sscanf(capability, "%d.%d", &major, &minor); err != nil {
		return "undefined"
	}
	switch {
	case major == 7 && minor >= 5:
		return "turing"
	case major == 7:
		return "volta"
	case major == 8 && minor == 9:
		return "ada-lovelace"
	case major == 8:
		return "ampere"
	case major == 9:
		return "hopper"
	case major == 10 || major == 12:
		return "blackwell"
	}
	return "undefined"
}
