package main

import (
	"errors"
	"fmt"

	"mig-k8s/sandbox/gpu/driver"
)

// setMode is `nvidia-smi -mig 0|1`. A mode that waits for a reboot is a warning, and nvidia-smi ends well all the same.
func (s *session) setMode(on bool) int {
	verb, past := "disable", "Disabled"
	if on {
		verb, past = "enable", "Enabled"
	}
	for _, device := range s.devices {
		activation, err := s.SetMode(device, on)
		var refusal driver.Status
		if errors.As(err, &refusal) {
			fmt.Fprintf(s.out, "Unable to %s MIG Mode for GPU %s: %v\nTerminating early due to previous errors.\n",
				verb, device.PCIBusID, refusal)
			return int(refusal)
		}
		if err != nil {
			return failed(s.out, err)
		}
		switch activation {
		case driver.Success:
			fmt.Fprintf(s.out, "%s MIG Mode for GPU %s\n", past, device.PCIBusID)
		case driver.InUse:
			fmt.Fprintf(s.out, "Warning: MIG mode is in pending %s state for GPU %s:%v\n"+
				"%v is currently being used by one or more other processes (e.g. CUDA application or a monitoring "+
				"application such as another instance of nvidia-smi). Please first kill all processes using the device "+
				"and retry the command or reboot the system to make MIG mode effective.\n",
				verb, device.PCIBusID, activation, device.PCIBusID)
		default:
			fmt.Fprintf(s.out, "Warning: MIG mode is in pending %s state for GPU %s:%v\n"+
				"Reboot the system or try nvidia-smi --gpu-reset to make MIG mode effective on GPU %s\n",
				verb, device.PCIBusID, activation, device.PCIBusID)
		}
	}
	if err := s.Save(); err != nil {
		return failed(s.out, err)
	}
	fmt.Fprintln(s.out, "All done.")
	return 0
}

// reset is `nvidia-smi --gpu-reset`, which a hypervisor does not let through.
func (s *session) reset() int {
	for _, device := range s.devices {
		fmt.Fprintf(s.out, "Resetting GPU %s is not supported.\n", device.PCIBusID)
	}
	return int(driver.NotSupported)
}
