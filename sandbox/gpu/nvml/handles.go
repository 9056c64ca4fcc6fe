package main

/*
#include <stdlib.h>
#include "functions.h"
*/
import "C"

import (
	"slices"
	"unsafe"

	"mig-k8s/sandbox/gpu/driver"
)

// kind keeps a pointer of one of NVML's types from being taken for another's.
type kind int

const (
	aGPU kind = iota
	aMIGDevice
	aGPUInstance
	aComputeInstance
)

// named is what a client's opaque pointer stands for. What is behind the name may be gone by the time it is used.
type named struct {
	kind              kind
	gpu               string // its UUID
	instance, compute int
}

// Pointers are to memory of C's, since runtimes of other languages look into theirs. The same name has the same pointer
// for as long as the process lives: there are no more names than places on the GPUs.
var (
	pointers = map[named]unsafe.Pointer{}
	names    = map[unsafe.Pointer]named{}
)

func pointerTo(name named) unsafe.Pointer {
	pointer, known := pointers[name]
	if !known {
		pointer = C.malloc(1)
		pointers[name], names[pointer] = pointer, name
	}
	return pointer
}

func deviceHandle(name named) C.nvmlDevice_t {
	return C.nvmlDevice_t{handle: (*C.struct_nvmlDevice_st)(pointerTo(name))}
}

func migHandle(device driver.Device, mig driver.MIGDevice) C.nvmlDevice_t {
	return deviceHandle(named{aMIGDevice, device.UUID, mig.Instance.ID, mig.Compute.ID})
}

func gpuInstanceHandle(device driver.Device, id int) C.nvmlGpuInstance_t {
	name := named{kind: aGPUInstance, gpu: device.UUID, instance: id}
	return C.nvmlGpuInstance_t{handle: (*C.struct_nvmlGpuInstance_st)(pointerTo(name))}
}

func computeInstanceHandle(device driver.Device, instance, id int) C.nvmlComputeInstance_t {
	name := named{aComputeInstance, device.UUID, instance, id}
	return C.nvmlComputeInstance_t{handle: (*C.struct_nvmlComputeInstance_st)(pointerTo(name))}
}

// find looks up what a pointer of this kind names, and the GPU that it is on.
func find(session *driver.Session, pointer unsafe.Pointer, wanted kind) (named, driver.Device, error) {
	name, known := names[pointer]
	if !known || name.kind != wanted {
		return named{}, driver.Device{}, driver.InvalidArgument
	}
	at := slices.IndexFunc(session.Devices, func(device driver.Device) bool { return device.UUID == name.gpu })
	if at < 0 {
		return named{}, driver.Device{}, driver.InvalidArgument
	}
	if session.Lost(session.Devices[at]) {
		return named{}, driver.Device{}, driver.GPULost
	}
	return name, session.Devices[at], nil
}

func isMIG(handle C.nvmlDevice_t) bool {
	return names[unsafe.Pointer(handle.handle)].kind == aMIGDevice
}

// gpuOf is the GPU of a handle. What is asked of whole GPUs only is not supported for a MIG device.
func gpuOf(session *driver.Session, handle C.nvmlDevice_t) (driver.Device, error) {
	if isMIG(handle) {
		return driver.Device{}, driver.NotSupported
	}
	_, device, err := find(session, unsafe.Pointer(handle.handle), aGPU)
	return device, err
}

// migOf is the MIG device of a handle, with its number on the GPU.
func migOf(session *driver.Session, handle C.nvmlDevice_t) (driver.Device, driver.MIGDevice, int, error) {
	name, device, err := find(session, unsafe.Pointer(handle.handle), aMIGDevice)
	if err != nil {
		return driver.Device{}, driver.MIGDevice{}, 0, err
	}
	devices := device.MIGDevices()
	number := slices.IndexFunc(devices, func(mig driver.MIGDevice) bool {
		return mig.Instance.ID == name.instance && mig.Compute.ID == name.compute
	})
	if number < 0 {
		return driver.Device{}, driver.MIGDevice{}, 0, driver.InvalidArgument
	}
	return device, devices[number], number, nil
}

func gpuInstanceOf(session *driver.Session, handle C.nvmlGpuInstance_t) (driver.Device, driver.GPUInstance, error) {
	name, device, err := find(session, unsafe.Pointer(handle.handle), aGPUInstance)
	if err != nil {
		return driver.Device{}, driver.GPUInstance{}, err
	}
	instance, found := device.State.Instance(name.instance)
	if !found {
		return driver.Device{}, driver.GPUInstance{}, driver.InvalidArgument
	}
	return device, *instance, nil
}

func computeInstanceOf(session *driver.Session, handle C.nvmlComputeInstance_t) (
	device driver.Device, instance driver.GPUInstance, compute driver.ComputeInstance, err error,
) {
	name, device, err := find(session, unsafe.Pointer(handle.handle), aComputeInstance)
	if err != nil {
		return device, instance, compute, err
	}
	if found, there := device.State.Instance(name.instance); there {
		instance = *found
	}
	at := slices.IndexFunc(instance.Compute, func(c driver.ComputeInstance) bool { return c.ID == name.compute })
	if at < 0 {
		return device, instance, compute, driver.InvalidArgument
	}
	return device, instance, instance.Compute[at], nil
}
