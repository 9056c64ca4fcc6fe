package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"mig-k8s/sandbox/gpu/driver"
)

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
	loaded, err := driver.LoadedVersion()
	if err != nil {
		return err
	}
	if loaded != arguments[0] {
		return fmt.Errorf("fabric manager NVIDIA GPU driver interface version %s don't match with driver version %s",
			arguments[0], loaded)
	}
	gpus, err := driver.ReadGPUs()
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(gpus, func(gpu driver.GPU) bool { return gpu.NVSwitch }) {
		return errors.New("request to query NVSwitch device information from NVSwitch driver failed with error:" +
			"WARNING Nothing to do [NV_WARN_NOTHING_TO_DO]")
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT)
	if err := driver.WriteFile(driver.FabricPath(), nil, driver.ForEverybody); err != nil {
		return err
	}
	if err := tellSystemd("READY=1"); err != nil {
		return err
	}
	<-ended
	return os.Remove(driver.FabricPath())
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
