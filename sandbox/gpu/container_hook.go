package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"mig-k8s/sandbox/gpu/driver"
)

// container is what an OCI runtime tells a hook on standard input, and of its config.json the parts that matter here.
type container struct {
	ID     string `json:"id"`
	Bundle string `json:"bundle"`
	config struct {
		Root  struct{ Path string }
		Linux struct{ Devices []struct{ Path string } }
	}
}

// containerHook is what the kernel does by itself for a container, where there is a driver in it: /proc/driver is there,
// the driver answers whoever has its device files, and a GPU is in use as long as a process has it open. The hook of
// createContainer, `container-hook begin`, shows these and notes whose devices the container has; the one of poststop,
// `container-hook end`, forgets them. It gives no container a device: that is the container runtime's business.
func containerHook(arguments []string) int {
	acts := map[string]func(container) error{"begin": beginContainer, "end": endContainer}
	if len(arguments) != 1 || acts[arguments[0]] == nil {
		fmt.Fprintf(os.Stderr, "container-hook takes begin or end; got %q\n", arguments)
		return 2
	}
	var about container
	err := json.NewDecoder(os.Stdin).Decode(&about)
	if err == nil {
		err = acts[arguments[0]](about)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "container-hook %s: %v\n", arguments[0], err)
		return 1
	}
	return 0
}

func beginContainer(about container) error {
	if err := driver.ReadJSON(filepath.Join(about.Bundle, "config.json"), &about.config); err != nil {
		return err
	}
	root := about.config.Root.Path
	if !filepath.IsAbs(root) {
		root = filepath.Join(about.Bundle, root)
	}
	// At the same places as outside: runc lets nobody mount below a container's /proc, and a hook may.
	places := map[string]string{
		driver.ProcFolder():        "/proc/driver",
		driver.HardwareDirectory(): "/hardware",
		driver.VolatileDirectory(): "/run/gpu",
	}
	for source, target := range places {
		if err := showReadOnly(source, filepath.Join(root, target)); err != nil {
			return fmt.Errorf("cannot show %s: %w", target, err)
		}
	}
	return noteClient(about)
}

// showReadOnly binds a folder into a container. What the container mounts there itself is kept.
func showReadOnly(source, target string) error {
	if mounted, err := isMountPoint(target); err != nil || mounted {
		return err
	}
	if err := os.MkdirAll(target, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
		return err
	}
	flags := uintptr(syscall.MS_BIND | syscall.MS_REMOUNT | syscall.MS_RDONLY | syscall.MS_NOSUID | syscall.MS_NODEV)
	return syscall.Mount("", target, "", flags, "")
}

func isMountPoint(path string) (bool, error) {
	content, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(strings.Split(string(content), "\n"), func(line string) bool {
		fields := strings.Fields(line)
		return len(fields) > 4 && fields[4] == path
	}), nil
}

// noteClient takes a container that was given single devices for one that uses them. Who was given all, with the
// capability to change them, looks at them now and then: the operator's own pods, and privileged ones.
func noteClient(about container) error {
	var given []string
	for _, device := range about.config.Linux.Devices {
		given = append(given, strings.TrimPrefix(device.Path, "/dev/"))
	}
	uuids, err := driver.UsedBy(given)
	if err != nil || len(uuids) == 0 {
		return err
	}
	if err := os.MkdirAll(driver.ClientsDirectory(), 0o755); err != nil {
		return err
	}
	return driver.WriteFile(clientPath(about.ID), []byte(strings.Join(uuids, "\n")+"\n"), driver.ForEverybody)
}

func endContainer(about container) error {
	err := os.Remove(clientPath(about.ID))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func clientPath(id string) string { return filepath.Join(driver.ClientsDirectory(), filepath.Base(id)) }
