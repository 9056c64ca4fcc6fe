package main

import "fmt"

// setMode is `nvidia-smi -mig 0|1`. An Ampere GPU in a virtual machine cannot be reset, so there the new mode waits in
// the InfoROM for a reboot and nvidia-smi ends well all the same.
func (s *session) setMode(on bool) int {
	verb, past := "disable", "Disabled"
	if on {
		verb, past = "enable", "Enabled"
	}
	if !privileged() {
		fmt.Fprintf(s.out, "Unable to %s MIG Mode for GPU %s: %s\nTerminating early due to previous errors.\n",
			verb, s.devices[0].PCIBusID, insufficientPermissions.text)
		return insufficientPermissions.code
	}
	busy, err := busyDevices(s.faults)
	if err != nil {
		return failed(s.out, err)
	}
	infoROM, err := readInfoROM()
	if err != nil {
		return failed(s.out, err)
	}
	for _, device := range s.devices {
		used := device.State.Mode != on && (device.inUse(busy) || len(device.State.Instances) > 0)
		waits := device.State.Mode != on && (used || device.Model.ModeNeedsReset || s.faults.ModeStaysPending)
		if device.Model.ModeNeedsReset {
			infoROM[device.UUID] = on
		}
		device.State.Pending = on
		switch {
		case used:
			fmt.Fprintf(s.out, "Warning: MIG mode is in pending %s state for GPU %s:%s\n"+
				"%s is currently being used by one or more other processes (e.g. CUDA application or a monitoring "+
				"application such as another instance of nvidia-smi). Please first kill all processes using the device "+
				"and retry the command or reboot the system to make MIG mode effective.\n",
				verb, device.PCIBusID, inUse.text, device.PCIBusID)
		case waits:
			fmt.Fprintf(s.out, "Warning: MIG mode is in pending %s state for GPU %s:%s\n"+
				"Reboot the system or try nvidia-smi --gpu-reset to make MIG mode effective on GPU %s\n",
				verb, device.PCIBusID, notSupported.text, device.PCIBusID)
		default:
			device.State.Mode = on
			fmt.Fprintf(s.out, "%s MIG Mode for GPU %s\n", past, device.PCIBusID)
		}
	}
	gpus, err := readGPUs()
	if err != nil {
		return failed(s.out, err)
	}
	if err := s.state.addForeign(gpus, s.faults); err != nil {
		return failed(s.out, err)
	}
	if err := writeInfoROM(infoROM); err != nil {
		return failed(s.out, err)
	}
	if err := s.state.write(); err != nil {
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
	return notSupported.code
}
