package driver

import "slices"

// CreateGPUInstance makes a GPU instance of a profile at `start`, or where the driver puts it when that is nil.
func (s *Session) CreateGPUInstance(device Device, profileID int, start *int) (GPUInstance, error) {
	if !Privileged() {
		return GPUInstance{}, InsufficientPermissions
	}
	if !device.State.Mode {
		return GPUInstance{}, NotSupported
	}
	profile, known := device.Model.Profile(s.Branch, profileID)
	if !known {
		return GPUInstance{}, InvalidArgument
	}
	if s.creationFails() {
		return GPUInstance{}, InsufficientResources
	}
	at, found := device.Model.firstFit(device.State.Instances, profile)
	if start != nil {
		if !slices.Contains(profile.Starts, *start) {
			return GPUInstance{}, InvalidArgument
		}
		at, found = *start, device.Model.fits(device.State.Instances, profile, *start)
	}
	if !found {
		return GPUInstance{}, InsufficientResources
	}
	made := GPUInstance{ID: device.Model.instanceID(device.GPU, profile, at), Profile: profile.ID, Start: at}
	if !s.Faults.CreationClaims {
		device.State.Instances = append(device.State.Instances, made)
	}
	return made, nil
}

// creationFails counts the instances asked for since faults.json was written last; the fault strikes once.
func (s *Session) creationFails() bool {
	if s.state.FaultsAt != s.Faults.writtenAt {
		s.state.FaultsAt, s.state.Creations = s.Faults.writtenAt, 0
	}
	s.state.Creations++
	return s.state.Creations == s.Faults.CreationFailsAt
}

// DestroyGPUInstance ends a GPU instance; a compute instance in it is a client of it.
func (s *Session) DestroyGPUInstance(device Device, id int) error {
	if !Privileged() {
		return InsufficientPermissions
	}
	instance, found := device.State.Instance(id)
	switch {
	case !found:
		return NotFound
	case len(instance.Compute) > 0:
		return InUse
	}
	device.State.Instances = slices.DeleteFunc(device.State.Instances, func(i GPUInstance) bool { return i.ID == id })
	return nil
}

// CreateComputeInstance makes a compute instance of a profile in a GPU instance, at the first place that it fits.
func (s *Session) CreateComputeInstance(device Device, instanceID, profileID int) (ComputeInstance, error) {
	if !Privileged() {
		return ComputeInstance{}, InsufficientPermissions
	}
	instance, found := device.State.Instance(instanceID)
	if !found {
		if s.Faults.CreationClaims { // the GPU instance was only claimed, and so is what is in it
			return ComputeInstance{Profile: profileID}, nil
		}
		return ComputeInstance{}, NotFound
	}
	part, known := device.Model.computeProfile(device.Model.ProfileByID(instance.Profile), profileID)
	if !known {
		return ComputeInstance{}, InvalidArgument
	}
	start, found := device.Model.firstComputeFit(*instance, part)
	if !found {
		return ComputeInstance{}, InsufficientResources
	}
	id := 0
	for slices.ContainsFunc(instance.Compute, func(c ComputeInstance) bool { return c.ID == id }) {
		id++
	}
	made := ComputeInstance{ID: id, Profile: part.ID, Start: start}
	instance.Compute = append(instance.Compute, made)
	slices.SortFunc(instance.Compute, func(a, b ComputeInstance) int { return a.ID - b.ID })
	return made, nil
}

// DestroyComputeInstance ends a compute instance that nobody uses.
func (s *Session) DestroyComputeInstance(device Device, instanceID, id int) error {
	if !Privileged() {
		return InsufficientPermissions
	}
	instance, found := device.State.Instance(instanceID)
	if !found || !slices.ContainsFunc(instance.Compute, func(c ComputeInstance) bool { return c.ID == id }) {
		return NotFound
	}
	busy, err := busyDevices(s.Faults)
	if err != nil {
		return err
	}
	if slices.Contains(busy, device.UUID) || slices.Contains(busy, migUUID(device.UUID, instanceID, id)) {
		return InUse
	}
	instance.Compute = slices.DeleteFunc(instance.Compute, func(c ComputeInstance) bool { return c.ID == id })
	return nil
}
