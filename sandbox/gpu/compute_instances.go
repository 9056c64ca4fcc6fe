package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mig-k8s/sandbox/gpu/driver"
)

// createComputeInstances is `mig -cci [LIST]`.
func (s *session) createComputeInstances(options migCall) int {
	return s.change(func(device driver.Device) error {
		instances := chosen(device, options.instances)
		if len(instances) == 0 {
			fmt.Fprintf(s.out, "No GPU instances found: %v\n", driver.NotFound)
			return driver.NotFound
		}
		for _, instance := range instances {
			profile := device.Model.ProfileByID(instance.Profile)
			for _, wanted := range options.profiles {
				if wanted == "" {
					wanted = strconv.Itoa(device.Model.DefaultComputeProfile(profile).ID)
				}
				part := findComputeProfile(device.Model.ComputeProfiles(profile), wanted)
				if err := s.createComputeInstance(device, instance.ID, part); err != nil {
					fmt.Fprintf(s.out, "Unable to create a compute instance on GPU %2d GPU instance ID %2d using profile %s: %v\n"+
						"Failed to create compute instances: %v\n", device.Index, instance.ID, wanted, err, err)
					return err
				}
			}
		}
		return nil
	})
}

// findComputeProfile knows a profile by its id or name.
func findComputeProfile(candidates []driver.ComputeProfile, idOrName string) driver.ComputeProfile {
	name := strings.TrimPrefix(idOrName, "MIG ")
	at := slices.IndexFunc(candidates, func(p driver.ComputeProfile) bool {
		return p.Name == name || strconv.Itoa(p.ID) == name
	})
	if at < 0 {
		return driver.ComputeProfile{ID: noSuchID}
	}
	return candidates[at]
}

func (s *session) createComputeInstance(device driver.Device, instance int, part driver.ComputeProfile) error {
	made, err := s.CreateComputeInstance(device, instance, part.ID)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Successfully created compute instance ID %2d on GPU %2d GPU instance ID %2d "+
		"using profile MIG %s (ID %2d)\n", made.ID, device.Index, instance, part.Name, part.ID)
	return nil
}

// destroyComputeInstances is `mig -dci [-gi IDS] [-ci IDS]`.
func (s *session) destroyComputeInstances(options migCall) int {
	return s.change(func(device driver.Device) error {
		found := false
		instances := chosen(device, options.instances)
		slices.SortFunc(instances, func(a, b driver.GPUInstance) int { return a.ID - b.ID })
		for _, instance := range instances {
			for _, compute := range slices.Clone(instance.Compute) {
				if options.computeInstances != nil && !slices.Contains(options.computeInstances, strconv.Itoa(compute.ID)) {
					continue
				}
				found = true
				if err := s.DestroyComputeInstance(device, instance.ID, compute.ID); err != nil {
					fmt.Fprintf(s.out, "Unable to destroy compute instance ID %2d from GPU %2d GPU instance ID %2d: %v\n"+
						"Failed to destroy compute instances: %v\n", compute.ID, device.Index, instance.ID, err, err)
					return err
				}
				fmt.Fprintf(s.out, "Successfully destroyed compute instance ID %2d from GPU %2d GPU instance ID %2d\n",
					compute.ID, device.Index, instance.ID)
			}
		}
		if !found {
			fmt.Fprintf(s.out, "No compute instances found: %v\n", driver.NotFound)
			return driver.NotFound
		}
		return nil
	})
}
