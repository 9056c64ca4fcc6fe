package driver

// SetMode wants MIG mode on or off. `activation` is why that does not hold at once: InUse, or NotSupported where a GPU
// cannot be reset, as an Ampere GPU in a virtual machine; there the InfoROM keeps the mode for a reboot.
func (s *Session) SetMode(device Device, on bool) (activation Status, err error) {
	if !Privileged() {
		return Success, InsufficientPermissions
	}
	busy, err := busyDevices(s.Faults)
	if err != nil {
		return Success, err
	}
	if device.Model.ModeNeedsReset {
		s.infoROM[device.UUID] = on
		if err := writeInfoROM(s.infoROM); err != nil {
			return Success, err
		}
	}
	state := device.State
	switch state.Pending = on; {
	case state.Mode == on:
	case device.inUse(busy) || len(state.Instances) > 0:
		activation = InUse
	case device.Model.ModeNeedsReset || s.Faults.ModeStaysPending:
		activation = NotSupported
	default:
		state.Mode = on
	}
	gpus, err := ReadGPUs()
	if err != nil {
		return activation, err
	}
	return activation, s.state.addForeign(gpus, s.Faults)
}
