package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
)

// fabricPath is there while Fabric Manager has the GPUs joined.
func fabricPath() string { return filepath.Join(volatileDirectory(), "fabric") }

// fabricManager is `nv-fabricmanager VERSION`: it serves until it is ended. Like the real one it runs only beside a
// driver of its own version, and only where there are NVSwitches.
func fabricManager(arguments []string) int {
	if err := serveFabric(arguments); err != nil {
		fmt.Fprintf(os.Stderr, "nv-fabricmanager: %v\n", err)
		return 1
	}
	return 0
}

func serveFabric(arguments []string) error {
	if len(arguments) != 1 {
		return fmt.Errorf("takes one argument, its version; got %q", arguments)
	}
	loaded, err := loadedDriver()
	if err != nil {
		return err
	}
	if loaded != arguments[0] {
		return fmt.Errorf("fabric manager NVIDIA GPU driver interface version %s don't match with driver version %s",
			arguments[0], loaded)
	}
	gpus, err := readGPUs()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(gpus, func(gpu GPU) bool { return gpu.NVSwitch }) {
		return errors.New("request to query NVSwitch device information from NVSwitch driver failed with error:" +
			"WARNING Nothing to do [NV_WARN_NOTHING_TO_DO]")
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	if err := writeFile(fabricPath(), nil, forEverybody); err != nil {
		return err
	}
	if err := tellSystemd("READY=1"); err != nil {
		return err
	}
	<-ended
	return os.Remove(fabricPath())
}

// tellSystemd sends a state to the service manager that started this process, if one asked for it.
func tellSystemd(state string) error {
	address := os.Getenv("NOTIFY_SOCKET")
	if address == "" {
		return nil
	}
	connection, err := net.Dial("unixgram", address)
	if err != nil {
		return err
	}
	defer connection.Close()
	_, err = connection.Write([]byte(state))
	return err
}

// joined tells whether the fabric serves this GPU: always where there is none.
func (gpu GPU) joined(faults Faults) (bool, error) {
	if !gpu.NVSwitch {
		return true, nil
	}
	_, err := os.Stat(fabricPath())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && !faults.FabricNotReady, err
}

// fabric is state and status in `nvidia-smi -q`. GPUs before Hopper show neither, with NVSwitch or without.
func (device Device) fabric(faults Faults) (state, status string, err error) {
	if !device.NVSwitch || device.Model.Architecture == "Ampere" {
		return "N/A", "N/A", nil
	}
	joined, err := device.joined(faults)
	if joined {
		return "Completed", "Success", err
	}
	return "In Progress", "N/A", err
}
