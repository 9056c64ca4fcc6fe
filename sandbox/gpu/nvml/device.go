package main

/*
#include "functions.h"
*/
import "C"

import (
	"fmt"
	"strconv"
	"strings"

	"mig-k8s/sandbox/gpu/driver"
)

// ofGPU asks something of a whole GPU.
func ofGPU(handle C.nvmlDevice_t, question func(*driver.Session, driver.Device) error) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		device, err := gpuOf(session, handle)
		if err != nil {
			return err
		}
		return question(session, device)
	})
}

// number answers a question about a whole GPU by one number.
func number[T ~uint32 | ~int32 | ~uint64](handle C.nvmlDevice_t, into *T, answer func(driver.Device) T) C.nvmlReturn_t {
	return ofGPU(handle, func(_ *driver.Session, device driver.Device) error {
		if err := given(into); err != nil {
			return err
		}
		*into = answer(device)
		return nil
	})
}

//export nvmlDeviceGetName
func nvmlDeviceGetName(handle C.nvmlDevice_t, name *C.char, length C.uint) C.nvmlReturn_t {
	return text(handle, name, length, func(device driver.Device) string { return device.Name },
		func(device driver.Device, mig driver.MIGDevice) string {
			return device.Name + " MIG " + mig.Slices.Name
		})
}

//export nvmlDeviceGetUUID
func nvmlDeviceGetUUID(handle C.nvmlDevice_t, uuid *C.char, length C.uint) C.nvmlReturn_t {
	return text(handle, uuid, length, func(device driver.Device) string { return device.UUID },
		func(_ driver.Device, mig driver.MIGDevice) string { return mig.UUID })
}

func text(
	handle C.nvmlDevice_t, buffer *C.char, length C.uint,
	ofGPU func(driver.Device) string, ofMIG func(driver.Device, driver.MIGDevice) string,
) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if !isMIG(handle) {
			device, err := gpuOf(session, handle)
			if err != nil {
				return err
			}
			return put(buffer, length, ofGPU(device))
		}
		device, mig, _, err := migOf(session, handle)
		if err != nil {
			return err
		}
		return put(buffer, length, ofMIG(device, mig))
	})
}

//export nvmlDeviceGetIndex
func nvmlDeviceGetIndex(handle C.nvmlDevice_t, index *C.uint) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if err := given(index); err != nil {
			return err
		}
		if isMIG(handle) {
			_, _, number, err := migOf(session, handle)
			*index = C.uint(number)
			return err
		}
		device, err := gpuOf(session, handle)
		*index = C.uint(device.Index)
		return err
	})
}

//export nvmlDeviceGetMinorNumber
func nvmlDeviceGetMinorNumber(handle C.nvmlDevice_t, minor *C.uint) C.nvmlReturn_t {
	return number(handle, minor, func(device driver.Device) C.uint { return C.uint(device.GPU.Index) })
}

//export nvmlDeviceGetModuleId
func nvmlDeviceGetModuleId(handle C.nvmlDevice_t, id *C.uint) C.nvmlReturn_t {
	return number(handle, id, func(device driver.Device) C.uint { return C.uint(device.ModuleID) })
}

//export nvmlDeviceGetNumGpuCores
func nvmlDeviceGetNumGpuCores(handle C.nvmlDevice_t, cores *C.uint) C.nvmlReturn_t {
	return number(handle, cores, func(device driver.Device) C.uint { return C.uint(device.Model.Cores) })
}

//export nvmlDeviceGetBrand
func nvmlDeviceGetBrand(handle C.nvmlDevice_t, brand *C.nvmlBrandType_t) C.nvmlReturn_t {
	return number(handle, brand, func(driver.Device) C.nvmlBrandType_t { return C.NVML_BRAND_NVIDIA })
}

var architectures = map[string]C.nvmlDeviceArchitecture_t{
	"Ampere": C.NVML_DEVICE_ARCH_AMPERE, "Hopper": C.NVML_DEVICE_ARCH_HOPPER,
}

//export nvmlDeviceGetArchitecture
func nvmlDeviceGetArchitecture(handle C.nvmlDevice_t, architecture *C.nvmlDeviceArchitecture_t) C.nvmlReturn_t {
	return number(handle, architecture, func(device driver.Device) C.nvmlDeviceArchitecture_t {
		return architectures[device.Model.Architecture]
	})
}

//export nvmlDeviceGetCudaComputeCapability
func nvmlDeviceGetCudaComputeCapability(handle C.nvmlDevice_t, major, minor *C.int) C.nvmlReturn_t {
	return ofGPU(handle, func(_ *driver.Session, device driver.Device) error {
		if err := given(major, minor); err != nil {
			return err
		}
		_, err := fmt.Sscanf(device.Model.ComputeCapability, "%d.%d", major, minor)
		return err
	})
}

//export nvmlDeviceGetVirtualizationMode
func nvmlDeviceGetVirtualizationMode(handle C.nvmlDevice_t, mode *C.nvmlGpuVirtualizationMode_t) C.nvmlReturn_t {
	return number(handle, mode, func(driver.Device) C.nvmlGpuVirtualizationMode_t {
		return C.NVML_GPU_VIRTUALIZATION_MODE_PASSTHROUGH
	})
}

//export nvmlDeviceGetComputeMode
func nvmlDeviceGetComputeMode(handle C.nvmlDevice_t, mode *C.nvmlComputeMode_t) C.nvmlReturn_t {
	return number(handle, mode, func(driver.Device) C.nvmlComputeMode_t { return C.NVML_COMPUTEMODE_DEFAULT })
}

//export nvmlDeviceGetPciInfo_v3
func nvmlDeviceGetPciInfo_v3(handle C.nvmlDevice_t, info *C.nvmlPciInfo_t) C.nvmlReturn_t {
	return ofGPU(handle, func(_ *driver.Session, device driver.Device) error {
		if err := given(info); err != nil {
			return err
		}
		id, ok := driver.ParseBusID(device.PCIBusID)
		if !ok {
			return fmt.Errorf("gpus.json: GPU %d has no PCI bus id: %q", device.GPU.Index, device.PCIBusID)
		}
		model, err := hexadecimal(device.Model.PCIDeviceID)
		if err != nil {
			return err
		}
		board, err := hexadecimal(device.Model.PCISubsystemID)
		if err != nil {
			return err
		}
		*info = C.nvmlPciInfo_t{
			domain: C.uint(id.Domain), bus: C.uint(id.Bus), device: C.uint(id.Device),
			pciDeviceId: model, pciSubSystemId: board,
		}
		place := fmt.Sprintf(":%02X:%02X.0", id.Bus, id.Device)
		if err := put(&info.busId[0], C.uint(len(info.busId)), fmt.Sprintf("%08X", id.Domain)+place); err != nil {
			return err
		}
		return put(&info.busIdLegacy[0], C.uint(len(info.busIdLegacy)), fmt.Sprintf("%04X", id.Domain)+place)
	})
}

// hexadecimal reads a number of the catalogue; what nobody captured is 0.
func hexadecimal(text string) (C.uint, error) {
	if text == "" {
		return 0, nil
	}
	value, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 32)
	return C.uint(value), err
}
