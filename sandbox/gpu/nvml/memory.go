package main

/*
#include "functions.h"
*/
import "C"

import "mig-k8s/sandbox/gpu/driver"

const mebibyte = 1 << 20

// memory is what a GPU or a MIG device has, in MiB. Nothing computes here, so that a MIG device uses none.
type memory struct{ total, reserved, used int }

func memoryOf(session *driver.Session, handle C.nvmlDevice_t) (memory, error) {
	if isMIG(handle) {
		_, mig, _, err := migOf(session, handle)
		if err != nil {
			return memory{}, err
		}
		return memory{total: mig.Profile.MiB.At(session.Branch)}, nil
	}
	device, err := gpuOf(session, handle)
	return memory{device.Model.MemoryMiB, device.Model.ReservedMiB, device.UsedMiB}, err
}

// nvmlDeviceGetMemoryInfo counts what the driver reserves as used.
//
//export nvmlDeviceGetMemoryInfo
func nvmlDeviceGetMemoryInfo(handle C.nvmlDevice_t, info *C.nvmlMemory_t) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if err := given(info); err != nil {
			return err
		}
		has, err := memoryOf(session, handle)
		used := has.reserved + has.used
		info.total, info.used = C.ulonglong(has.total)*mebibyte, C.ulonglong(used)*mebibyte
		info.free = info.total - info.used
		return err
	})
}

//export nvmlDeviceGetMemoryInfo_v2
func nvmlDeviceGetMemoryInfo_v2(handle C.nvmlDevice_t, info *C.nvmlMemory_v2_t) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if err := given(info); err != nil {
			return err
		}
		if info.version != C.nvmlMemory_v2 {
			return driver.StructVersionMismatch
		}
		has, err := memoryOf(session, handle)
		info.total, info.reserved = C.ulonglong(has.total)*mebibyte, C.ulonglong(has.reserved)*mebibyte
		info.used = C.ulonglong(has.used) * mebibyte
		info.free = info.total - info.reserved - info.used
		return err
	})
}

//export nvmlDeviceGetAttributes_v2
func nvmlDeviceGetAttributes_v2(handle C.nvmlDevice_t, attributes *C.nvmlDeviceAttributes_t) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if err := given(attributes); err != nil {
			return err
		}
		if !isMIG(handle) {
			if _, err := gpuOf(session, handle); err != nil {
				return err
			}
			return driver.NotSupported
		}
		_, mig, _, err := migOf(session, handle)
		if err != nil {
			return err
		}
		profile := mig.Profile
		*attributes = C.nvmlDeviceAttributes_t{
			multiprocessorCount:       C.uint(mig.Slices.SM),
			sharedCopyEngineCount:     C.uint(profile.CE),
			sharedDecoderCount:        C.uint(profile.DEC),
			sharedEncoderCount:        C.uint(profile.ENC),
			sharedJpegCount:           C.uint(profile.JPEG),
			sharedOfaCount:            C.uint(profile.OFA),
			gpuInstanceSliceCount:     C.uint(profile.Compute),
			computeInstanceSliceCount: C.uint(mig.Slices.Slices),
			memorySizeMB:              C.ulonglong(profile.MiB.At(session.Branch)),
		}
		return nil
	})
}
