package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// createInstances is `mig -cgi LIST [-C]`. Like the driver it works through the list and stops at the first item that
// fails, leaving what it made before.
func (s *session) createInstances(options migCall) int {
	return s.change(func(device Device) (status, bool) {
		for _, wanted := range options.profiles {
			if reason, ok := s.createInstance(device, wanted, options.withCompute); !ok {
				fmt.Fprintf(s.out, "Unable to create a GPU instance on GPU %2d using profile %s: %s\n"+
					"Failed to create GPU instances: %s\n", device.Index, wanted, reason.text, reason.text)
				return reason, false
			}
		}
		return status{}, true
	})
}

// createInstance makes one GPU instance of PROFILE[:START], with its compute instance if asked.
func (s *session) createInstance(device Device, wanted string, withCompute bool) (status, bool) {
	if !privileged() {
		return insufficientPermissions, false
	}
	name, place, placed := cutPlace(wanted)
	profile, known := device.Model.profile(s.branch, name)
	if !known {
		return invalidArgument, false
	}
	if s.creationFails() {
		return insufficientResources, false
	}
	start, found := device.Model.firstFit(device.State.Instances, profile)
	if placed {
		number, err := strconv.Atoi(place)
		if err != nil || !slices.Contains(profile.Starts, number) {
			return invalidArgument, false
		}
		start, found = number, device.Model.fits(device.State.Instances, profile, number)
	}
	if !found {
		return insufficientResources, false
	}
	instance := GPUInstance{ID: device.Model.instanceID(device.GPU, profile, start), Profile: profile.ID, Start: start}
	fmt.Fprintf(s.out, "Successfully created GPU instance ID %2d on GPU %2d using profile MIG %s (ID %2d)\n",
		instance.ID, device.Index, profile.Name, profile.ID)
	if withCompute {
		part := device.Model.defaultComputeProfile(profile)
		instance.Compute = []ComputeInstance{{Profile: part.ID}}
		s.sayCreated(device, instance.ID, 0, part)
	}
	if !s.faults.CreationClaims {
		device.State.Instances = append(device.State.Instances, instance)
	}
	return status{}, true
}

// creationFails counts the instances asked for since faults.json was written last; the fault strikes once.
func (s *session) creationFails() bool {
	if s.state.FaultsAt != s.faults.writtenAt {
		s.state.FaultsAt, s.state.Creations = s.faults.writtenAt, 0
	}
	s.state.Creations++
	return s.state.Creations == s.faults.CreationFailsAt
}

// cutPlace splits "9:4" and "3g.40gb:4".
func cutPlace(wanted string) (profile, start string, placed bool) {
	return strings.Cut(strings.TrimSpace(wanted), ":")
}

// destroyInstances is `mig -dgi [-gi IDS]`; a compute instance in the GPU instance is a client of it.
func (s *session) destroyInstances(options migCall) int {
	return s.change(func(device Device) (status, bool) {
		chosen := device.chosen(options.instances)
		if len(chosen) == 0 {
			fmt.Fprintf(s.out, "No GPU instances found: %s\n", notFound.text)
			return notFound, false
		}
		slices.SortFunc(chosen, func(a, b GPUInstance) int { return a.ID - b.ID })
		for _, instance := range chosen {
			reason := status{}
			switch {
			case !privileged():
				reason = insufficientPermissions
			case len(instance.Compute) > 0:
				reason = inUse
			}
			if reason.code != 0 {
				fmt.Fprintf(s.out, "Unable to destroy GPU instance ID %2d from GPU %2d: %s\nFailed to destroy GPU instances: %s\n",
					instance.ID, device.Index, reason.text, reason.text)
				return reason, false
			}
			device.State.remove(instance.ID)
			fmt.Fprintf(s.out, "Successfully destroyed GPU instance ID %2d from GPU %2d\n", instance.ID, device.Index)
		}
		return status{}, true
	})
}

// change runs act on each GPU with MIG mode on, until one fails, and keeps what was done up to there.
func (s *session) change(act func(Device) (status, bool)) int {
	enabled := s.migEnabled()
	if len(enabled) == 0 {
		fmt.Fprint(s.out, noMIGEnabledText)
		return 0
	}
	code := 0
	for _, device := range enabled {
		if reason, ok := act(device); !ok {
			code = reason.code
			break
		}
	}
	if privileged() {
		if err := s.state.write(); err != nil {
			return failed(s.out, err)
		}
	}
	return code
}

func (state *GPUState) remove(id int) {
	state.Instances = slices.DeleteFunc(state.Instances, func(instance GPUInstance) bool { return instance.ID == id })
}

func (state *GPUState) instance(id int) *GPUInstance {
	at := slices.IndexFunc(state.Instances, func(instance GPUInstance) bool { return instance.ID == id })
	return &state.Instances[at]
}
