package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"mig-k8s/sandbox/gpu/driver"
)

type mount struct {
	Destination string   `json:"destination"`
	Type        string   `json:"type"`
	Source      string   `json:"source"`
	Options     []string `json:"options"`
}

// giveDevices edits an OCI config.json, keeping all it does not know.
func giveDevices(path, id string) error {
	var config map[string]json.RawMessage
	if err := driver.ReadJSON(path, &config); err != nil {
		return err
	}
	var made container
	var mounts []json.RawMessage
	if err := errors.Join(
		unmarshal(config["process"], &made.Process), unmarshal(config["annotations"], &made.Annotations),
		unmarshal(config["mounts"], &mounts),
	); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	wanted, err := made.wantedDevices()
	if err != nil || wanted == "" {
		return err
	}
	visible, err := resolve(wanted)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(driver.ClientsDirectory(), 0o755); err != nil {
		return err
	}
	if err := driver.WriteFile(clientPath(id), []byte(strings.Join(visible, "\n")+"\n"), driver.ForEverybody); err != nil {
		return err
	}
	added, err := deviceMounts(clientPath(id), mounts)
	if err != nil {
		return err
	}
	if config["mounts"], err = json.Marshal(append(mounts, added...)); err != nil {
		return err
	}
	about, err := os.Stat(path)
	if err != nil {
		return err
	}
	return driver.WriteJSON(path, config, about.Mode().Perm()) // the environment in it may be secret
}

func unmarshal(content json.RawMessage, value any) error {
	if content == nil {
		return nil
	}
	return json.Unmarshal(content, value)
}

// environment is the value of the last NAME=VALUE.
func environment(variables []string, name string) string {
	found := ""
	for _, variable := range variables {
		if value, ok := strings.CutPrefix(variable, name+"="); ok {
			found = value
		}
	}
	return found
}

// deviceMounts are what a container needs to see its devices, without what it mounts itself.
func deviceMounts(visible string, present []json.RawMessage) ([]json.RawMessage, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	taken := map[string]bool{}
	for _, content := range present {
		var existing mount
		if err := json.Unmarshal(content, &existing); err != nil {
			return nil, err
		}
		taken[filepath.Clean(existing.Destination)] = true
	}
	var added []json.RawMessage
	for _, wanted := range []mount{
		{Destination: "/usr/bin/nvidia-smi", Source: program},
		{Destination: "/hardware", Source: driver.HardwareDirectory()},
		{Destination: "/run/gpu", Source: driver.VolatileDirectory()},
		{Destination: driver.VisibleFile, Source: visible},
	} {
		if taken[wanted.Destination] {
			continue
		}
		if wanted.Source, err = filepath.Abs(wanted.Source); err != nil {
			return nil, err
		}
		wanted.Type, wanted.Options = "bind", []string{"ro", "nosuid", "nodev", "rbind", "rprivate"}
		content, err := json.Marshal(wanted)
		if err != nil {
			return nil, err
		}
		added = append(added, content)
	}
	return added, nil
}

// resolve turns NVIDIA_VISIBLE_DEVICES into the UUIDs of GPUs and MIG devices, or "all", or nothing for "none". It
// knows UUIDs, GPU indices and INDEX:NUMBER for a MIG device.
func resolve(wanted string) ([]string, error) {
	session, err := driver.Open("", false)
	if err != nil {
		return nil, fmt.Errorf("nvidia-container-cli: initialization error: nvml error: %w", containerCLIWords(err))
	}
	defer session.Close()
	switch wanted {
	case "all":
		return []string{"all"}, nil
	case "none":
		return nil, nil
	}
	known := map[string]string{}
	for _, device := range session.Devices {
		known[device.UUID] = device.UUID
		known[fmt.Sprint(device.Index)] = device.UUID
		for number, mig := range device.MIGDevices() {
			known[mig.UUID] = mig.UUID
			known[fmt.Sprintf("%d:%d", device.Index, number)] = mig.UUID
		}
	}
	var visible []string
	for _, name := range strings.Split(wanted, ",") {
		uuid, ok := known[strings.TrimSpace(name)]
		if !ok {
			return nil, fmt.Errorf("nvidia-container-cli: device error: %s: unknown device", name)
		}
		visible = append(visible, uuid)
	}
	return visible, nil
}

// containerCLIWords are the library's own words for a refusal of the driver.
func containerCLIWords(err error) error {
	switch {
	case errors.Is(err, driver.NotLoaded):
		return errors.New("driver not loaded")
	case errors.Is(err, driver.LibraryMismatch):
		return errors.New("driver/library version mismatch")
	}
	return err
}
