package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// status is a return code of NVML, which nvidia-smi exits with, and its text.
type status struct {
	code int
	text string
}

var (
	invalidArgument         = status{2, "Invalid Argument"}
	notSupported            = status{3, "Not Supported"}
	insufficientPermissions = status{4, "Insufficient Permissions"}
	notFound                = status{6, "Not Found"}
	inUse                   = status{19, "In use by another client"}
	insufficientResources   = status{23, "Insufficient Resources"}
)

// Exit codes of nvidia-smi that are not NVML's answer to one call.
const (
	wrongUsage        = 2
	noDevices         = 6
	driverNotLoaded   = 9
	gpuLost           = 15
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
	out     io.Writer
	driver  string
	branch  int
	faults  Faults
	state   *State
	devices []Device // the visible ones that -i chose
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
	faults, err := readFaults()
	if err != nil {
		return failed(out, err)
	}
	if faults.Hang != "" && strings.Contains(" "+strings.Join(arguments, " "), faults.Hang) {
		time.Sleep(1<<63 - 1)
	}
	driver, err := loadedDriver()
	switch {
	case err != nil:
		return failed(out, err)
	case driver == "":
		io.WriteString(out, driverMissingText)
		return driverNotLoaded
	}
	different, err := mismatch(driver, faults)
	switch {
	case err != nil:
		return failed(out, err)
	case different:
		fmt.Fprintln(out, "Failed to initialize NVML: Driver/library version mismatch")
		fmt.Fprintln(out, "NVML library version:", majorMinor(driver))
		return libraryMismatch
	}
	if call.changes && privileged() {
		unlock, err := lock()
		if err != nil {
			return failed(out, err)
		}
		defer unlock()
	}
	return (&session{out: out, driver: driver, branch: branchOf(driver), faults: faults}).answer(call)
}

// answer reads the GPUs and runs the call on those that -i chose and that are still there.
func (s *session) answer(call call) int {
	var err error
	if s.state, err = readState(); err != nil {
		return failed(s.out, err)
	}
	all, err := readDevices(s.state)
	if err != nil {
		return failed(s.out, err)
	}
	chosen := selectDevices(all, call.ids)
	if len(chosen) == 0 {
		io.WriteString(s.out, noDevicesText)
		return noDevices
	}
	for _, device := range chosen {
		if !slices.Contains(s.faults.OffTheBus, device.GPU.Index) {
			s.devices = append(s.devices, device)
			continue
		}
		fmt.Fprintf(s.out, "Unable to determine the device handle for GPU%d: %s: GPU is lost.  "+
			"Reboot the system to recover this GPU\n", device.Index, strings.TrimPrefix(device.PCIBusID, "0000"))
	}
	code := 0
	if len(s.devices) > 0 {
		code = call.run(s, call)
	}
	if code == 0 && len(s.devices) < len(chosen) {
		return gpuLost
	}
	return code
}

func failed(out io.Writer, err error) int {
	fmt.Fprintf(out, "nvidia-smi: %v\n", err)
	return otherError
}

// privileged tells whether this process may change MIG instances and list them: root, and not in a container that was
// given single devices. GPU_PRIVILEGED=0 or 1 overrules, for tests that are not root or must not be.
func privileged() bool {
	if visible, err := visibleUUIDs(); err != nil || visible != nil {
		return false
	}
	switch os.Getenv("GPU_PRIVILEGED") {
	case "0":
		return false
	case "1":
		return true
	}
	return os.Geteuid() == 0
}

func majorMinor(version string) string {
	parts := strings.SplitN(version, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
