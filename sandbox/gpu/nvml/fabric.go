package main

/*
#include "functions.h"
*/
import "C"

import (
	"unsafe"

	"mig-k8s/sandbox/gpu/driver"
)

func fabricOf(session *driver.Session, device driver.Device) (C.nvmlGpuFabricState_t, error) {
	if !device.Model.KnowsFabric() {
		return 0, driver.NotSupported
	}
	state, err := session.Fabric(device)
	return C.nvmlGpuFabricState_t(state), err
}

//export nvmlDeviceGetGpuFabricInfo
func nvmlDeviceGetGpuFabricInfo(handle C.nvmlDevice_t, info *C.nvmlGpuFabricInfo_t) C.nvmlReturn_t {
	return ofGPU(handle, func(session *driver.Session, device driver.Device) error {
		if err := given(info); err != nil {
			return err
		}
		state, err := fabricOf(session, device)
		if err == nil {
			*info = C.nvmlGpuFabricInfo_t{state: state}
		}
		return err
	})
}

// nvmlDeviceGetGpuFabricInfoV says nothing of a fabric's health: each mask's 0 is "not supported".
//
//export nvmlDeviceGetGpuFabricInfoV
func nvmlDeviceGetGpuFabricInfoV(handle C.nvmlDevice_t, info *C.nvmlGpuFabricInfoV_t) C.nvmlReturn_t {
	return ofGPU(handle, func(session *driver.Session, device driver.Device) error {
		if err := given(info); err != nil {
			return err
		}
		if info.version != C.nvmlGpuFabricInfo_v2 && info.version != C.nvmlGpuFabricInfo_v3 {
			return driver.StructVersionMismatch
		}
		state, err := fabricOf(session, device)
		if err != nil {
			return err
		}
		if info.version == C.nvmlGpuFabricInfo_v2 { // shorter than the type of the prototype
			*(*C.nvmlGpuFabricInfo_v2_t)(unsafe.Pointer(info)) = C.nvmlGpuFabricInfo_v2_t{version: info.version, state: state}
			return nil
		}
		*info = C.nvmlGpuFabricInfoV_t{version: info.version, state: state}
		return nil
	})
}
