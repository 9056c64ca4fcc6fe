package main

/*
#include "functions.h"
*/
import "C"

import "mig-k8s/sandbox/gpu/driver"

//export nvmlDeviceGetPersistenceMode
func nvmlDeviceGetPersistenceMode(handle C.nvmlDevice_t, mode *C.nvmlEnableState_t) C.nvmlReturn_t {
	return number(handle, mode, func(device driver.Device) C.nvmlEnableState_t {
		return C.nvmlEnableState_t(flag(device.PersistenceMode()))
	})
}

//export nvmlDeviceSetPersistenceMode
func nvmlDeviceSetPersistenceMode(handle C.nvmlDevice_t, mode C.nvmlEnableState_t) C.nvmlReturn_t {
	return change(func(session *driver.Session) error {
		device, err := gpuOf(session, handle)
		if err != nil {
			return err
		}
		if mode > C.NVML_FEATURE_ENABLED {
			return driver.InvalidArgument
		}
		return session.SetPersistence(device, mode == C.NVML_FEATURE_ENABLED)
	})
}

//export nvmlDeviceGetEccMode
func nvmlDeviceGetEccMode(handle C.nvmlDevice_t, current, pending *C.nvmlEnableState_t) C.nvmlReturn_t {
	return ofGPU(handle, func(*driver.Session, driver.Device) error {
		if err := given(current, pending); err != nil {
			return err
		}
		*current, *pending = C.NVML_FEATURE_ENABLED, C.NVML_FEATURE_ENABLED
		return nil
	})
}

//export nvmlDeviceGetAddressingMode
func nvmlDeviceGetAddressingMode(handle C.nvmlDevice_t, mode *C.nvmlDeviceAddressingMode_t) C.nvmlReturn_t {
	return ofGPU(handle, func(*driver.Session, driver.Device) error {
		if err := given(mode); err != nil {
			return err
		}
		if mode.version != C.nvmlDeviceAddressingMode_v1 {
			return driver.StructVersionMismatch
		}
		mode.value = C.NVML_DEVICE_ADDRESSING_MODE_NONE
		return nil
	})
}
