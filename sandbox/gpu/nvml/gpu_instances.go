package main

/*
#include "functions.h"
*/
import "C"

import (
	"unsafe"

	"mig-k8s/sandbox/gpu/driver"
)

//export nvmlDeviceGetGpuInstances
func nvmlDeviceGetGpuInstances(
	handle C.nvmlDevice_t, profileID C.uint, instances *C.nvmlGpuInstance_t, count *C.uint,
) C.nvmlReturn_t {
	return ofGPU(handle, func(session *driver.Session, device driver.Device) error {
		if instances == nil || count == nil {
			return driver.InvalidArgument
		}
		if !driver.Privileged() {
			return driver.InsufficientPermissions
		}
		if _, _, err := session.Starts(device, int(profileID)); err != nil {
			return err
		}
		var found []C.nvmlGpuInstance_t
		for _, instance := range device.Model.InListOrder(device.State.Instances) {
			if instance.Profile == int(profileID) {
				found = append(found, gpuInstanceHandle(device, instance.ID))
			}
		}
		*count = C.uint(copy(unsafe.Slice(instances, len(found)), found))
		return nil
	})
}

//export nvmlDeviceGetGpuInstanceById
func nvmlDeviceGetGpuInstanceById(handle C.nvmlDevice_t, id C.uint, instance *C.nvmlGpuInstance_t) C.nvmlReturn_t {
	return ofGPU(handle, func(_ *driver.Session, device driver.Device) error {
		switch {
		case instance == nil:
			return driver.InvalidArgument
		case !driver.Privileged():
			return driver.InsufficientPermissions
		case !device.State.Mode:
			return driver.NotSupported
		}
		if _, found := device.State.Instance(int(id)); !found {
			return driver.NotFound
		}
		*instance = gpuInstanceHandle(device, int(id))
		return nil
	})
}

//export nvmlDeviceCreateGpuInstance
func nvmlDeviceCreateGpuInstance(
	handle C.nvmlDevice_t, profileID C.uint, instance *C.nvmlGpuInstance_t,
) C.nvmlReturn_t {
	return create(handle, profileID, instance, func(driver.Device) (*int, error) { return nil, nil })
}

//export nvmlDeviceCreateGpuInstanceWithPlacement
func nvmlDeviceCreateGpuInstanceWithPlacement(
	handle C.nvmlDevice_t, profileID C.uint, placement C.constPlacement, instance *C.nvmlGpuInstance_t,
) C.nvmlReturn_t {
	return create(handle, profileID, instance, func(device driver.Device) (*int, error) {
		if placement == nil {
			return nil, driver.InvalidArgument
		}
		for _, profile := range device.Model.Profiles {
			if profile.ID == int(profileID) && profile.Memory != int(placement.size) {
				return nil, driver.InvalidArgument
			}
		}
		start := int(placement.start)
		return &start, nil
	})
}

func create(
	handle C.nvmlDevice_t, profileID C.uint, instance *C.nvmlGpuInstance_t, place func(driver.Device) (*int, error),
) C.nvmlReturn_t {
	return change(func(session *driver.Session) error {
		device, err := gpuOf(session, handle)
		if err != nil {
			return err
		}
		if err := given(instance); err != nil {
			return err
		}
		start, err := place(device)
		if err != nil {
			return err
		}
		made, err := session.CreateGPUInstance(device, int(profileID), start)
		if err == nil {
			*instance = gpuInstanceHandle(device, made.ID)
		}
		return err
	})
}

//export nvmlGpuInstanceDestroy
func nvmlGpuInstanceDestroy(handle C.nvmlGpuInstance_t) C.nvmlReturn_t {
	return change(func(session *driver.Session) error {
		device, instance, err := gpuInstanceOf(session, handle)
		if err != nil {
			return err
		}
		return session.DestroyGPUInstance(device, instance.ID)
	})
}

//export nvmlGpuInstanceGetInfo
func nvmlGpuInstanceGetInfo(handle C.nvmlGpuInstance_t, info *C.nvmlGpuInstanceInfo_t) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if err := given(info); err != nil {
			return err
		}
		device, instance, err := gpuInstanceOf(session, handle)
		if err != nil {
			return err
		}
		*info = C.nvmlGpuInstanceInfo_t{id: C.uint(instance.ID), profileId: C.uint(instance.Profile)}
		info.placement.start = C.uint(instance.Start)
		info.placement.size = C.uint(device.Model.ProfileByID(instance.Profile).Memory)
		return handOut(session, device, &info.device)
	})
}
