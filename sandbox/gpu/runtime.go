package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"mig-k8s/sandbox/gpu/driver"
)

// runcPaths is where runc lies if it is not on PATH: RKE2's own, then the distribution's.
var runcPaths = []string{"/var/lib/rancher/rke2/bin/runc", "/usr/sbin/runc", "/usr/bin/runc"}

// containerRuntime is an OCI runtime: it gives a container that was handed GPUs (CDI annotations), or may ask for them
// (NVIDIA_VISIBLE_DEVICES), nvidia-smi and the sight of those devices, then becomes runc with the same arguments.
func containerRuntime(arguments []string) int {
	err := prepare(arguments)
	if err == nil {
		err = becomeRunc(arguments)
	}
	report(arguments, err)
	return 1
}

func prepare(arguments []string) error {
	if len(arguments) == 0 {
		return nil
	}
	id := arguments[len(arguments)-1] // of the commands that matter here, the container's id is the last word
	switch {
	case slices.Contains(arguments, "create"), slices.Contains(arguments, "run"):
		bundle := option(arguments, "--bundle", "-b")
		if bundle == "" {
			bundle = "."
		}
		return giveDevices(filepath.Join(bundle, "config.json"), id)
	case slices.Contains(arguments, "delete"):
		err := os.Remove(clientPath(id))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return nil
}

// option is the value of a command-line option under any of its names, or "".
func option(arguments []string, names ...string) string {
	for i, argument := range arguments {
		name, value, joined := strings.Cut(argument, "=")
		if !slices.Contains(names, name) {
			continue
		}
		if !joined && i+1 < len(arguments) {
			return arguments[i+1]
		}
		return value
	}
	return ""
}

func clientPath(id string) string { return filepath.Join(driver.ClientsDirectory(), filepath.Base(id)) }

func becomeRunc(arguments []string) error {
	program := os.Getenv("RUNC")
	if program == "" {
		if found, err := exec.LookPath("runc"); err == nil {
			program = found
		}
	}
	for _, path := range runcPaths {
		if _, err := os.Stat(path); program == "" && err == nil {
			program = path
		}
	}
	if program == "" {
		return fmt.Errorf("nvidia-container-runtime: no runc: not in $RUNC, not on PATH, not one of %s",
			strings.Join(runcPaths, ", "))
	}
	return fmt.Errorf("nvidia-container-runtime: cannot run %s: %w", program,
		syscall.Exec(program, append([]string{"runc"}, arguments...), os.Environ()))
}

// report says what went wrong on standard error and, as runc would, in the log that containerd reads.
func report(arguments []string, failure error) {
	fmt.Fprintln(os.Stderr, failure)
	path := option(arguments, "--log")
	if path == "" {
		return
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	defer log.Close()
	line := map[string]string{"level": "error", "msg": failure.Error(), "time": time.Now().Format(time.RFC3339)}
	if err := json.NewEncoder(log).Encode(line); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
