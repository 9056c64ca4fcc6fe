package main

/*
#include "functions.h"
*/
import "C"

import (
	"unsafe"

	"mig-k8s/sandbox/gpu/driver"
)

//export nvmlDeviceGetMigMode
func nvmlDeviceGetMigMode(handle C.nvmlDevice_t, current, pending *C.uint) C.nvmlReturn_t {
	return ofGPU(handle, func(_ *driver.Session, device driver.Device) error {
		if err := given(current, pending); err != nil {
			return err
		}
		*current, *pending = flag(device.State.Mode), flag(device.Pending)
		return nil
	})
}

//export nvmlDeviceSetMigMode
func nvmlDeviceSetMigMode(handle C.nvmlDevice_t, mode C.uint, activation *C.nvmlReturn_t) C.nvmlReturn_t {
	return change(func(session *driver.Session) error {
		device, err := gpuOf(session, handle)
		if err != nil {
			return err
		}
		if activation == nil || mode > C.NVML_DEVICE_MIG_ENABLE {
			return driver.InvalidArgument
		}
		reason, err := session.SetMode(device, mode == C.NVML_DEVICE_MIG_ENABLE)
		if err == nil {
			*activation = C.nvmlReturn_t(reason)
		}
		return err
	})
}

//export nvmlDeviceGetMaxMigDeviceCount
func nvmlDeviceGetMaxMigDeviceCount(handle C.nvmlDevice_t, count *C.uint) C.nvmlReturn_t {
	return ofGPU(handle, func(_ *driver.Session, device driver.Device) error {
		if err := given(count); err != nil {
			return err
		}
		*count = 0
		if device.State.Mode {
			*count = C.uint(device.Model.ComputeSlices)
		}
		return nil
	})
}

//export nvmlDeviceGetMigDeviceHandleByIndex
func nvmlDeviceGetMigDeviceHandleByIndex(handle C.nvmlDevice_t, index C.uint, mig *C.nvmlDevice_t) C.nvmlReturn_t {
	return ofGPU(handle, func(_ *driver.Session, device driver.Device) error {
		if err := given(mig); err != nil {
			return err
		}
		devices := device.MIGDevices()
		if int(index) >= len(devices) {
			return driver.NotFound
		}
		*mig = migHandle(device, devices[index])
		return nil
	})
}

//export nvmlDeviceIsMigDeviceHandle
func nvmlDeviceIsMigDeviceHandle(handle C.nvmlDevice_t, is *C.uint) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if err := given(is); err != nil {
			return err
		}
		wanted := aGPU
		if isMIG(handle) {
			wanted = aMIGDevice
		}
		if _, _, err := find(session, unsafe.Pointer(handle.handle), wanted); err != nil {
			return err
		}
		*is = flag(wanted == aMIGDevice)
		return nil
	})
}

//export nvmlDeviceGetDeviceHandleFromMigDeviceHandle
func nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle C.nvmlDevice_t, parent *C.nvmlDevice_t) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if err := given(parent); err != nil {
			return err
		}
		device, _, _, err := migOf(session, handle)
		if err != nil {
			return err
		}
		return handOut(session, device, parent)
	})
}

//export nvmlDeviceGetGpuInstanceId
func nvmlDeviceGetGpuInstanceId(handle C.nvmlDevice_t, id *C.uint) C.nvmlReturn_t {
	return migNumber(handle, id, func(mig driver.MIGDevice) int { return mig.Instance.ID })
}

//export nvmlDeviceGetComputeInstanceId
func nvmlDeviceGetComputeInstanceId(handle C.nvmlDevice_t, id *C.uint) C.nvmlReturn_t {
	return migNumber(handle, id, func(mig driver.MIGDevice) int { return mig.Compute.ID })
}

func migNumber(handle C.nvmlDevice_t, into *C.uint, number func(driver.MIGDevice) int) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if err := given(into); err != nil {
			return err
		}
		_, mig, _, err := migOf(session, handle)
		if err != nil {
			return err
		}
		*into = C.uint(number(mig))
		return nil
	})
}
