package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// createComputeInstances is `mig -cci [LIST]`.
func (s *session) createComputeInstances(options migCall) int {
	return s.change(func(device Device) (status, bool) {
		chosen := device.chosen(options.instances)
		if len(chosen) == 0 {
			fmt.Fprintf(s.out, "No GPU instances found: %s\n", notFound.text)
			return notFound, false
		}
		for _, instance := range chosen {
			for _, wanted := range options.profiles {
				if wanted == "" {
					wanted = strconv.Itoa(device.Model.defaultComputeProfile(device.Model.profileByID(instance.Profile)).ID)
				}
				if reason, ok := s.createComputeInstance(device, device.State.instance(instance.ID), wanted); !ok {
					fmt.Fprintf(s.out, "Unable to create a compute instance on GPU %2d GPU instance ID %2d using profile %s: %s\n"+
						"Failed to create compute instances: %s\n", device.Index, instance.ID, wanted, reason.text, reason.text)
					return reason, false
				}
			}
		}
		return status{}, true
	})
}

func (s *session) createComputeInstance(device Device, instance *GPUInstance, wanted string) (status, bool) {
	if !privileged() {
		return insufficientPermissions, false
	}
	profile := device.Model.profileByID(instance.Profile)
	candidates := device.Model.computeProfiles(profile)
	name := strings.TrimPrefix(wanted, "MIG ")
	at := slices.IndexFunc(candidates, func(p ComputeProfile) bool { return p.Name == name || strconv.Itoa(p.ID) == name })
	if at < 0 {
		return invalidArgument, false
	}
	part, free := candidates[at], device.Model.freeSlices(*instance)
	for i, start := range free {
		if end := i + part.Slices; end > len(free) || free[end-1] != start+part.Slices-1 { // not side by side
			continue
		}
		id := 0
		for slices.ContainsFunc(instance.Compute, func(c ComputeInstance) bool { return c.ID == id }) {
			id++
		}
		instance.Compute = append(instance.Compute, ComputeInstance{ID: id, Profile: part.ID, Start: start})
		slices.SortFunc(instance.Compute, func(a, b ComputeInstance) int { return a.ID - b.ID })
		s.sayCreated(device, instance.ID, id, part)
		return status{}, true
	}
	return insufficientResources, false
}

func (s *session) sayCreated(device Device, instance, compute int, part ComputeProfile) {
	fmt.Fprintf(s.out, "Successfully created compute instance ID %2d on GPU %2d GPU instance ID %2d "+
		"using profile MIG %s (ID %2d)\n", compute, device.Index, instance, part.Name, part.ID)
}

// destroyComputeInstances is `mig -dci [-gi IDS] [-ci IDS]`.
func (s *session) destroyComputeInstances(options migCall) int {
	busy, err := busyDevices(s.faults)
	if err != nil {
		return failed(s.out, err)
	}
	return s.change(func(device Device) (status, bool) {
		found := false
		chosen := device.chosen(options.instances)
		slices.SortFunc(chosen, func(a, b GPUInstance) int { return a.ID - b.ID })
		for _, instance := range chosen {
			for _, compute := range slices.Clone(instance.Compute) {
				if options.computeInstances != nil && !slices.Contains(options.computeInstances, strconv.Itoa(compute.ID)) {
					continue
				}
				found = true
				reason := status{}
				switch {
				case !privileged():
					reason = insufficientPermissions
				case slices.Contains(busy, device.UUID), slices.Contains(busy, migUUID(device.UUID, instance.ID, compute.ID)):
					reason = inUse
				}
				if reason.code != 0 {
					fmt.Fprintf(s.out, "Unable to destroy compute instance ID %2d from GPU %2d GPU instance ID %2d: %s\n"+
						"Failed to destroy compute instances: %s\n", compute.ID, device.Index, instance.ID, reason.text, reason.text)
					return reason, false
				}
				left := device.State.instance(instance.ID)
				left.Compute = slices.DeleteFunc(left.Compute, func(c ComputeInstance) bool { return c.ID == compute.ID })
				fmt.Fprintf(s.out, "Successfully destroyed compute instance ID %2d from GPU %2d GPU instance ID %2d\n",
					compute.ID, device.Index, instance.ID)
			}
		}
		if !found {
			fmt.Fprintf(s.out, "No compute instances found: %s\n", notFound.text)
			return notFound, false
		}
		return status{}, true
	})
}
