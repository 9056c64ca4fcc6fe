package gpu

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Layout is what mig-parted's configuration wants of one GPU.
type Layout struct {
	Index    int
	Enabled  bool
	Profiles []string // one per instance, in the configuration's order
}

// Generated is the configuration for a node whose policy names none. NVIDIA's also has one entry per profile.
const Generated = `version: v1
mig-configs:
  all-disabled: [{devices: all, mig-enabled: false}]
  all-enabled: [{devices: all, mig-enabled: true, mig-devices: {}}]
`

// migParted is the part of mig-parted's file format (version v1) that is served; another key is an error.
type migParted struct {
	Version string `yaml:"version"`
	Configs map[string][]struct {
		Devices devices   `yaml:"devices"`
		Enabled bool      `yaml:"mig-enabled"`
		Counts  yaml.Node `yaml:"mig-devices"` // a mapping whose order counts
	} `yaml:"mig-configs"`
}

// devices are GPU indices, or all of them.
type devices struct {
	all     bool
	indices []int
}

func (d *devices) UnmarshalYAML(node *yaml.Node) error {
	if d.all = node.Kind == yaml.ScalarNode && node.Value == "all"; d.all {
		return nil
	}
	return node.Decode(&d.indices)
}

// ParseMIGParted is what the configuration of this name wants of these GPUs. GPUs it does not speak of are left out.
func ParseMIGParted(text, name string, gpus []GPU) ([]Layout, error) {
	var file migParted
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("the configuration is not mig-parted's: %w", err)
	}
	if file.Version != "v1" {
		return nil, fmt.Errorf("the configuration has version %q, expected v1", file.Version)
	}
	specs, there := file.Configs[name]
	if !there {
		return nil, fmt.Errorf("the configuration has no mig-configs entry %q", name)
	}
	var layouts []Layout
	for _, spec := range specs {
		var profiles []string
		for i := 0; i+1 < len(spec.Counts.Content); i += 2 {
			profile, words := spec.Counts.Content[i].Value, spec.Counts.Content[i+1].Value
			count, err := strconv.Atoi(words)
			if err != nil || count < 0 {
				return nil, fmt.Errorf("mig-configs entry %q: %s: %q is not a number of instances", name, profile, words)
			}
			for range count {
				profiles = append(profiles, profile)
			}
		}
		indices := spec.Devices.indices
		if spec.Devices.all {
			for _, device := range gpus {
				if device.MIGCapable {
					indices = append(indices, device.Index)
				}
			}
		}
		for _, index := range indices {
			layouts = append(layouts, Layout{index, spec.Enabled, profiles})
		}
	}
	return layouts, nil
}

// HasInstances tells whether the GPU's MIG devices are the layout's, wherever they lie.
func (l Layout) HasInstances(inventory *Inventory) bool {
	wanted, seen := map[string]int{}, map[string]int{}
	for _, profile := range l.Profiles {
		wanted[profile]++
	}
	for _, device := range inventory.GPUs {
		for _, mig := range device.MIGDevices {
			if device.Index == l.Index {
				seen[mig.Profile]++
			}
		}
	}
	return maps.Equal(wanted, seen)
}

// MIGMode is a GPU's mode as it is and as it will be after a reset or a reboot.
type MIGMode struct{ Current, Pending bool }

// ReadMIGMode asks nvidia-smi for the MIG mode of one GPU.
func ReadMIGMode(ctx context.Context, run Runner, index int) (MIGMode, error) {
	said, err := run(ctx, "-i", strconv.Itoa(index), "--query-gpu=mig.mode.current,mig.mode.pending", "--format=csv,noheader")
	if err != nil {
		return MIGMode{}, err
	}
	current, pending, both := strings.Cut(strings.TrimSpace(said), ", ")
	if !both || current == "[N/A]" {
		return MIGMode{}, fmt.Errorf("GPU %d tells no MIG mode: %q", index, said)
	}
	return MIGMode{current == "Enabled", pending == "Enabled"}, nil
}
