package main

/*
#include "functions.h"
*/
import "C"

import (
	"slices"
	"unsafe"

	"mig-k8s/sandbox/gpu/driver"
)

// inGPUInstance asks for what is in a GPU instance, which only root may.
func inGPUInstance(
	handle C.nvmlGpuInstance_t, question func(*driver.Session, driver.Device, driver.GPUInstance) error,
) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if !driver.Privileged() {
			return driver.InsufficientPermissions
		}
		device, instance, err := gpuInstanceOf(session, handle)
		if err != nil {
			return err
		}
		return question(session, device, instance)
	})
}

//export nvmlGpuInstanceGetComputeInstances
func nvmlGpuInstanceGetComputeInstances(
	handle C.nvmlGpuInstance_t, profileID C.uint, instances *C.nvmlComputeInstance_t, count *C.uint,
) C.nvmlReturn_t {
	return inGPUInstance(handle, func(session *driver.Session, device driver.Device, instance driver.GPUInstance) error {
		if instances == nil || count == nil {
			return driver.InvalidArgument
		}
		profile := device.Model.ProfileByID(instance.Profile)
		if _, err := session.ComputeProfileByNumber(device, profile, uint32(profileID)); err != nil {
			return err
		}
		var found []C.nvmlComputeInstance_t
		for _, compute := range instance.Compute {
			if compute.Profile == int(profileID) {
				found = append(found, computeInstanceHandle(device, instance.ID, compute.ID))
			}
		}
		*count = C.uint(copy(unsafe.Slice(instances, len(found)), found))
		return nil
	})
}

//export nvmlGpuInstanceGetComputeInstanceById
func nvmlGpuInstanceGetComputeInstanceById(
	handle C.nvmlGpuInstance_t, id C.uint, compute *C.nvmlComputeInstance_t,
) C.nvmlReturn_t {
	return inGPUInstance(handle, func(_ *driver.Session, device driver.Device, instance driver.GPUInstance) error {
		if err := given(compute); err != nil {
			return err
		}
		if !slices.ContainsFunc(instance.Compute, func(c driver.ComputeInstance) bool { return c.ID == int(id) }) {
			return driver.NotFound
		}
		*compute = computeInstanceHandle(device, instance.ID, int(id))
		return nil
	})
}

//export nvmlGpuInstanceCreateComputeInstance
func nvmlGpuInstanceCreateComputeInstance(
	handle C.nvmlGpuInstance_t, profileID C.uint, compute *C.nvmlComputeInstance_t,
) C.nvmlReturn_t {
	return change(func(session *driver.Session) error {
		if err := given(compute); err != nil {
			return err
		}
		name, device, err := find(session, unsafe.Pointer(handle.handle), aGPUInstance)
		if err != nil {
			return err
		}
		made, err := session.CreateComputeInstance(device, name.instance, int(profileID))
		if err == nil {
			*compute = computeInstanceHandle(device, name.instance, made.ID)
		}
		return err
	})
}

//export nvmlComputeInstanceDestroy
func nvmlComputeInstanceDestroy(handle C.nvmlComputeInstance_t) C.nvmlReturn_t {
	return change(func(session *driver.Session) error {
		device, instance, compute, err := computeInstanceOf(session, handle)
		if err != nil {
			return err
		}
		return session.DestroyComputeInstance(device, instance.ID, compute.ID)
	})
}

//export nvmlComputeInstanceGetInfo_v2
func nvmlComputeInstanceGetInfo_v2(handle C.nvmlComputeInstance_t, info *C.nvmlComputeInstanceInfo_t) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if err := given(info); err != nil {
			return err
		}
		device, instance, compute, err := computeInstanceOf(session, handle)
		if err != nil {
			return err
		}
		part := device.Model.ComputeProfileByID(device.Model.ProfileByID(instance.Profile), compute.Profile)
		*info = C.nvmlComputeInstanceInfo_t{
			gpuInstance: gpuInstanceHandle(device, instance.ID), id: C.uint(compute.ID), profileId: C.uint(compute.Profile),
		}
		info.placement.start, info.placement.size = C.uint(compute.Start), C.uint(part.Slices)
		return handOut(session, device, &info.device)
	})
}
