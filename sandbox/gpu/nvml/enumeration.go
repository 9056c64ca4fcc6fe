package main

/*
#include "functions.h"
*/
import "C"

import (
	"fmt"
	"slices"
	"strings"

	"mig-k8s/sandbox/gpu/driver"
)

//export nvmlDeviceGetCount_v2
func nvmlDeviceGetCount_v2(count *C.uint) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if err := given(count); err != nil {
			return err
		}
		*count = C.uint(len(session.Devices))
		return nil
	})
}

//export nvmlDeviceGetHandleByIndex_v2
func nvmlDeviceGetHandleByIndex_v2(index C.uint, handle *C.nvmlDevice_t) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if handle == nil || int(index) >= len(session.Devices) {
			return driver.InvalidArgument
		}
		return handOut(session, session.Devices[index], handle)
	})
}

//export nvmlDeviceGetHandleByPciBusId_v2
func nvmlDeviceGetHandleByPciBusId_v2(text C.constText, handle *C.nvmlDevice_t) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if text == nil || handle == nil {
			return driver.InvalidArgument
		}
		wanted, ok := driver.ParseBusID(C.GoString(text))
		if !ok {
			return driver.InvalidArgument
		}
		at := slices.IndexFunc(session.Devices, func(device driver.Device) bool { return device.At(wanted) })
		if at < 0 {
			return driver.NotFound
		}
		return handOut(session, session.Devices[at], handle)
	})
}

// nvmlDeviceGetHandleByUUID looks at one GPU after the other, so that any lost one ends the search.
//
//export nvmlDeviceGetHandleByUUID
func nvmlDeviceGetHandleByUUID(text C.constText, handle *C.nvmlDevice_t) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if text == nil || handle == nil {
			return driver.InvalidArgument
		}
		wanted := C.GoString(text)
		if !strings.HasPrefix(wanted, "GPU-") && !strings.HasPrefix(wanted, "MIG-") {
			return driver.InvalidArgument
		}
		if slices.ContainsFunc(session.Devices, session.Lost) {
			return driver.GPULost
		}
		for _, device := range session.Devices {
			if device.UUID == wanted {
				return handOut(session, device, handle)
			}
			for _, mig := range device.MIGDevices() {
				place := fmt.Sprintf("MIG-%s/%d/%d", device.UUID, mig.Instance.ID, mig.Compute.ID) // as before R470
				if wanted == mig.UUID || wanted == place {
					*handle = migHandle(device, mig)
					return nil
				}
			}
		}
		return driver.NotFound
	})
}

func handOut(session *driver.Session, device driver.Device, handle *C.nvmlDevice_t) error {
	if session.Lost(device) {
		return driver.GPULost
	}
	*handle = deviceHandle(named{kind: aGPU, gpu: device.UUID})
	return nil
}
