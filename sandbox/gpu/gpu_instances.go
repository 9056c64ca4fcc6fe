package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mig-k8s/sandbox/gpu/driver"
)

// createInstances is `mig -cgi LIST [-C]`. Like the driver it works through the list and stops at the first item that
// fails, leaving what it made before.
func (s *session) createInstances(options migCall) int {
	return s.change(func(device driver.Device) error {
		for _, wanted := range options.profiles {
			if err := s.createInstance(device, wanted, options.withCompute); err != nil {
				fmt.Fprintf(s.out, "Unable to create a GPU instance on GPU %2d using profile %s: %v\n"+
					"Failed to create GPU instances: %v\n", device.Index, wanted, err, err)
				return err
			}
		}
		return nil
	})
}

// createInstance makes one GPU instance of PROFILE[:START], with its compute instance if asked.
func (s *session) createInstance(device driver.Device, wanted string, withCompute bool) error {
	name, place, placed := strings.Cut(strings.TrimSpace(wanted), ":")
	profile, known := device.Model.FindProfile(s.Branch, name)
	if !known {
		profile.ID = noSuchID
	}
	var start *int
	if placed {
		number, err := strconv.Atoi(place)
		if err != nil {
			number = noSuchID
		}
		start = &number
	}
	instance, err := s.CreateGPUInstance(device, profile.ID, start)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Successfully created GPU instance ID %2d on GPU %2d using profile MIG %s (ID %2d)\n",
		instance.ID, device.Index, profile.Name, profile.ID)
	if !withCompute {
		return nil
	}
	return s.createComputeInstance(device, instance.ID, device.Model.DefaultComputeProfile(profile))
}

// noSuchID is what a word that names nothing is for the driver, which refuses it in its turn.
const noSuchID = -1

// destroyInstances is `mig -dgi [-gi IDS]`.
func (s *session) destroyInstances(options migCall) int {
	return s.change(func(device driver.Device) error {
		instances := chosen(device, options.instances)
		if len(instances) == 0 {
			fmt.Fprintf(s.out, "No GPU instances found: %v\n", driver.NotFound)
			return driver.NotFound
		}
		slices.SortFunc(instances, func(a, b driver.GPUInstance) int { return a.ID - b.ID })
		for _, instance := range instances {
			if err := s.DestroyGPUInstance(device, instance.ID); err != nil {
				fmt.Fprintf(s.out, "Unable to destroy GPU instance ID %2d from GPU %2d: %v\nFailed to destroy GPU instances: %v\n",
					instance.ID, device.Index, err, err)
				return err
			}
			fmt.Fprintf(s.out, "Successfully destroyed GPU instance ID %2d from GPU %2d\n", instance.ID, device.Index)
		}
		return nil
	})
}

// change runs act on each GPU with MIG mode on, until one fails, and keeps what was done up to there. A refusal of the
// driver has been said by then, and is the exit code.
func (s *session) change(act func(driver.Device) error) int {
	enabled := s.migEnabled()
	if len(enabled) == 0 {
		fmt.Fprint(s.out, noMIGEnabledText)
		return 0
	}
	var failure error
	for _, device := range enabled {
		if failure = act(device); failure != nil {
			break
		}
	}
	if err := s.Save(); err != nil {
		return failed(s.out, err)
	}
	var refusal driver.Status
	switch {
	case failure == nil:
		return 0
	case errors.As(failure, &refusal):
		return int(refusal)
	}
	return otherError
}
