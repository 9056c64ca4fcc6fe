package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"mig-k8s/sandbox/gpu/driver"
)

// Exit codes of nvidia-smi that are not the driver's answer to one call, and texts.
const (
	wrongUsage        = 2
	noDevices         = 6
	driverNotLoaded   = 9
	libraryMismatch   = 18
	otherError        = 255
	noDevicesText     = "No devices were found\n"
	noMIGEnabledText  = "No MIG-enabled devices found.\n"
	wrongUsageText    = "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n\n"
	driverMissingText = "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. " +
		"Make sure that the latest NVIDIA driver is installed and running.\n\n"
)

// session is one call of nvidia-smi: everything it read before it answers.
type session struct {
	*driver.Session
	out     io.Writer
	devices []driver.Device // the visible ones that -i chose and that are still there
}

func nvidiaSMI(arguments []string) int {
	out := bufio.NewWriter(os.Stdout)
	code := runSMI(out, arguments)
	if err := out.Flush(); err != nil {
		fmt.Fprintln(os.Stderr, "nvidia-smi:", err)
		return otherError
	}
	return code
}

func runSMI(out io.Writer, arguments []string) int {
	call, ok := parseCall(arguments)
	if !ok {
		io.WriteString(out, wrongUsageText)
		return wrongUsage
	}
	if call.help {
		io.WriteString(out, call.helpText)
		return 0
	}
	opened, err := driver.Open(" "+strings.Join(arguments, " "), call.changes)
	switch {
	case errors.Is(err, driver.NotLoaded):
		io.WriteString(out, driverMissingText)
		return driverNotLoaded
	case errors.Is(err, driver.LibraryMismatch):
		return sayMismatch(out)
	case err != nil:
		return failed(out, err)
	}
	defer opened.Close()
	return (&session{Session: opened, out: out}).answer(call)
}

func sayMismatch(out io.Writer) int {
	version, err := driver.LoadedVersion()
	if err != nil {
		return failed(out, err)
	}
	fmt.Fprintln(out, "Failed to initialize NVML: Driver/library version mismatch")
	fmt.Fprintln(out, "NVML library version:", majorMinor(version))
	return libraryMismatch
}

// answer runs the call on the GPUs that -i chose and that are still there.
func (s *session) answer(call call) int {
	chosen := driver.SelectDevices(s.Devices, call.ids)
	if len(chosen) == 0 {
		io.WriteString(s.out, noDevicesText)
		return noDevices
	}
	for _, device := range chosen {
		if !s.Lost(device) {
			s.devices = append(s.devices, device)
			continue
		}
		fmt.Fprintf(s.out, "Unable to determine the device handle for GPU%d: %s: %v.  "+
			"Reboot the system to recover this GPU\n", device.Index, strings.TrimPrefix(device.PCIBusID, "0000"), driver.GPULost)
	}
	code := 0
	if len(s.devices) > 0 {
		code = call.run(s, call)
	}
	if code == 0 && len(s.devices) < len(chosen) {
		return int(driver.GPULost)
	}
	return code
}

func failed(out io.Writer, err error) int {
	fmt.Fprintf(out, "nvidia-smi: %v\n", err)
	return otherError
}

func majorMinor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
