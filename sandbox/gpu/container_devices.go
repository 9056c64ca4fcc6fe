package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	// cdiPrefix begins the annotations by which a device plugin hands devices over (strategy cdi-annotations).
	cdiPrefix = "cdi.k8s.io/"
	// cdiKind is the kind of device under which NVIDIA's device plugin lists them.
	cdiKind = "k8s.device-plugin.nvidia.com/gpu="
)

var (
	tableLine       = regexp.MustCompile(`^\s*\[`)
	environmentLine = regexp.MustCompile(`^\s*accept-nvidia-visible-devices-envvar-when-unprivileged\s*=\s*(\S+)\s*(#.*)?$`)
)

// container is what decides over the devices of a container: parts of its OCI config.json.
type container struct {
	Process struct {
		Env          []string `json:"env"`
		Capabilities struct {
			Bounding []string `json:"bounding"`
		} `json:"capabilities"`
	}
	Annotations map[string]string
}

// wantedDevices is what the container is to see, in the words of NVIDIA_VISIBLE_DEVICES; "" for nothing. Devices handed over by
// annotation come first, as in NVIDIA's runtime; the environment counts for a privileged container, and for others where
// the configuration says so.
func (c container) wantedDevices() (string, error) {
	var handed []string
	for _, name := range slices.Sorted(maps.Keys(c.Annotations)) {
		if !strings.HasPrefix(name, cdiPrefix) {
			continue
		}
		for _, device := range strings.Split(c.Annotations[name], ",") {
			uuid, known := strings.CutPrefix(device, cdiKind)
			if !known {
				return "", fmt.Errorf("unresolvable CDI devices %s", device)
			}
			handed = append(handed, uuid)
		}
	}
	if len(handed) > 0 {
		return strings.Join(handed, ","), nil
	}
	wanted := environment(c.Process.Env, "NVIDIA_VISIBLE_DEVICES")
	if wanted == "void" || slices.Contains(c.Process.Capabilities.Bounding, "CAP_SYS_ADMIN") {
		return strings.TrimPrefix(wanted, "void"), nil
	}
	accepted, err := environmentIsForEverybody()
	if !accepted {
		wanted = ""
	}
	return wanted, err
}

// environmentIsForEverybody reads the toolkit's configuration: its default is true, also where there is none.
func environmentIsForEverybody() (bool, error) {
	folder := os.Getenv("XDG_CONFIG_HOME")
	if folder == "" {
		folder = "/etc"
	}
	path := filepath.Join(folder, "nvidia-container-runtime", "config.toml")
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	accepted, seen := true, false
	for _, line := range strings.Split(string(content), "\n") {
		if tableLine.MatchString(line) {
			break // a key below belongs to a table
		}
		found := environmentLine.FindStringSubmatch(line)
		if found == nil {
			continue
		}
		if seen || (found[1] != "true" && found[1] != "false") {
			return false, fmt.Errorf("unable to load config: %s: %q is given twice, or is neither true nor false", path, line)
		}
		accepted, seen = found[1] == "true", true
	}
	return accepted, nil
}
