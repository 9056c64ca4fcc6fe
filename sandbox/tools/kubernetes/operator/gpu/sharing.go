package gpu

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Sharing is the time-slicing of a configuration of NVIDIA's device plugin.
type Sharing struct {
	Replicas map[string]int // by resource
	Renamed  bool
}

// ParseSharing reads a configuration (version v1) as NVIDIA's plugin v0.20 does; nil when it shares nothing. The errors are
// those on which the plugin exits; what is not stood in for is an error too.
func ParseSharing(text string) (*Sharing, error) {
	var file struct {
		Version string `yaml:"version"`
		Sharing struct {
			TimeSlicing *struct {
				RenameByDefault            bool `yaml:"renameByDefault"`
				FailRequestsGreaterThanOne bool `yaml:"failRequestsGreaterThanOne"`
				Resources                  []struct {
					Name     string `yaml:"name"`
					Replicas int    `yaml:"replicas"`
				} `yaml:"resources"`
			} `yaml:"timeSlicing"`
		} `yaml:"sharing"`
	}
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("unable to parse the configuration: %w", err)
	}
	if file.Version != "" && file.Version != "v1" {
		return nil, fmt.Errorf("unknown version: %s", file.Version)
	}
	slices := file.Sharing.TimeSlicing
	if slices == nil {
		return nil, nil
	}
	if len(slices.Resources) == 0 {
		return nil, errors.New("no resources specified")
	}
	sharing := &Sharing{Replicas: map[string]int{}, Renamed: slices.RenameByDefault}
	for _, resource := range slices.Resources {
		if resource.Name == "" {
			return nil, errors.New("no resource name specified")
		}
		if resource.Replicas <= 0 {
			return nil, errors.New("number of replicas must be >= 1")
		}
		sharing.Replicas["nvidia.com/"+strings.TrimPrefix(resource.Name, "nvidia.com/")] = resource.Replicas
	}
	return sharing, nil
}

// Share makes the resources that are shared out of those that are there: each device once for every replica, as UUID::N.
func (sharing *Sharing) Share(resources map[string][]string) map[string][]string {
	if sharing == nil {
		return resources
	}
	shared := map[string][]string{}
	for name, uuids := range resources {
		replicas, there := sharing.Replicas[name]
		if !there {
			shared[name] = uuids
			continue
		}
		if sharing.Renamed {
			name += ".shared"
		}
		for replica := range replicas {
			for _, uuid := range uuids {
				shared[name] = append(shared[name], fmt.Sprintf("%s::%d", uuid, replica))
			}
		}
	}
	return shared
}

// UUID of a device's id.
func UUID(id string) string {
	uuid, _, _ := strings.Cut(id, "::")
	return uuid
}

// Describe corrects labels, made for devices that nobody shares, as GPU Feature Discovery v0.20 does for shared ones.
func (sharing *Sharing) Describe(labels map[string]string) {
	if sharing == nil {
		return
	}
	for resource, replicas := range sharing.Replicas {
		if labels[resource+".replicas"] != "1" { // no such device, or whole GPUs that are divided
			continue
		}
		labels[resource+".replicas"] = fmt.Sprint(replicas)
		if replicas > 1 {
			labels[sharingLabel(resource)] = "time-slicing"
			if !sharing.Renamed {
				labels[resource+".product"] += "-SHARED"
			}
		}
	}
}
