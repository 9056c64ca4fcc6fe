package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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
	if err := readJSON(path, &config); err != nil {
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
	if err := os.MkdirAll(clientsDirectory(), 0o755); err != nil {
		return err
	}
	if err := writeFile(clientPath(id), []byte(strings.Join(visible, "\n")+"\n"), forEverybody); err != nil {
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
	return writeJSON(path, config, about.Mode().Perm()) // the environment in it may be secret
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
		{Destination: "/hardware", Source: hardwareDirectory()},
		{Destination: "/run/gpu", Source: volatileDirectory()},
		{Destination: visibleFile, Source: visible},
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
	driver, err := loadedDriver()
	if err != nil {
		return nil, err
	}
	if driver == "" {
		return nil, errors.New("nvidia-container-cli: initialization error: nvml error: driver not loaded")
	}
	faults, err := readFaults()
	if err != nil {
		return nil, err
	}
	if different, err := mismatch(driver, faults); err != nil || different {
		return nil, errors.Join(errors.New("nvidia-container-cli: initialization error: nvml error: driver/library version mismatch"), err)
	}
	switch wanted {
	case "all":
		return []string{"all"}, nil
	case "none":
		return nil, nil
	}
	state, err := readState()
	if err != nil {
		return nil, err
	}
	devices, err := readDevices(state)
	if err != nil {
		return nil, err
	}
	known := map[string]string{}
	for _, device := range devices {
		known[device.UUID] = device.UUID
		known[fmt.Sprint(device.Index)] = device.UUID
		for number, mig := range device.migDevices() {
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
