package gpu

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Strategy is how MIG devices are advertised.
type Strategy string

// The three strategies of NVIDIA's device plugin.
const (
	None   Strategy = "none"
	Single Strategy = "single"
	Mixed  Strategy = "mixed"
)

// ParseStrategy refuses what is not a strategy.
func ParseStrategy(text string) (Strategy, error) {
	switch strategy := Strategy(text); strategy {
	case None, Single, Mixed:
		return strategy, nil
	}
	return "", fmt.Errorf("MIG strategy %q is none of none, single, mixed", text)
}

const gpuResource = "nvidia.com/gpu"

// Resources are the extended resources to advertise: name -> UUIDs of the devices behind it. The errors are those on
// which NVIDIA's plugin exits instead of advertising anything.
func (inventory *Inventory) Resources(strategy Strategy) (map[string][]string, error) {
	resources := map[string][]string{}
	if strategy == Single && inventory.anyMIGEnabled() {
		if _, err := inventory.singleProfile(); err != nil {
			return nil, err
		}
	}
	for _, device := range inventory.GPUs {
		if strategy == None || !device.MIGEnabled {
			resources[gpuResource] = append(resources[gpuResource], device.UUID)
			continue
		}
		for _, mig := range device.MIGDevices {
			name := gpuResource
			if strategy == Mixed {
				if computeSlices(mig.Profile) != gpuSlices(mig.Profile) {
					continue // the plugin has no resource for a compute instance smaller than its GPU instance
				}
				name = "nvidia.com/mig-" + resourceName(mig.Profile)
			}
			resources[name] = append(resources[name], mig.UUID)
		}
	}
	return resources, nil
}

// singleProfile is the one profile all MIG devices have, or why strategy single cannot be served.
func (inventory *Inventory) singleProfile() (string, error) {
	profile := ""
	for _, device := range inventory.GPUs {
		if !device.MIGEnabled {
			return "", errors.New("all devices on the node must be configured with the same migEnabled value")
		}
		if len(device.MIGDevices) == 0 {
			return "", fmt.Errorf("device %d has no MIG devices configured", device.Index)
		}
		for _, mig := range device.MIGDevices {
			if profile == "" {
				profile = mig.Profile
			} else if mig.Profile != profile {
				return "", errors.New("more than one MIG device type present on node")
			}
		}
	}
	return profile, nil
}

func (inventory *Inventory) anyMIGEnabled() bool {
	for _, device := range inventory.GPUs {
		if device.MIGEnabled {
			return true
		}
	}
	return false
}

// resourceName is the profile as resource names and labels may hold it: "1g.10gb+me" -> "1g.10gb.me".
func resourceName(profile string) string { return strings.ReplaceAll(profile, "+", ".") }

var sliceCount = regexp.MustCompile(`(\d+)g\.`)
var computeCount = regexp.MustCompile(`^(\d+)c\.`)

// gpuSlices of "3g.40gb" are 3.
func gpuSlices(profile string) int {
	if found := sliceCount.FindStringSubmatch(profile); found != nil {
		slices, _ := strconv.Atoi(found[1])
		return slices
	}
	return 0
}

// computeSlices of "1c.3g.40gb" are 1; without a prefix the compute instance fills its GPU instance.
func computeSlices(profile string) int {
	if found := computeCount.FindStringSubmatch(profile); found != nil {
		slices, _ := strconv.Atoi(found[1])
		return slices
	}
	return gpuSlices(profile)
}
