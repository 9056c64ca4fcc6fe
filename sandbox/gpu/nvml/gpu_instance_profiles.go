package main

/*
#include "functions.h"
*/
import "C"

import (
	"unsafe"

	"mig-k8s/sandbox/gpu/driver"
)

//export nvmlDeviceGetGpuInstanceProfileInfo
func nvmlDeviceGetGpuInstanceProfileInfo(
	handle C.nvmlDevice_t, number C.uint, info *C.nvmlGpuInstanceProfileInfo_t,
) C.nvmlReturn_t {
	return ofGPU(handle, func(session *driver.Session, device driver.Device) error {
		if err := given(info); err != nil {
			return err
		}
		profile, err := session.ProfileByNumber(device, uint32(number))
		if err == nil {
			*info = profileInfo(session, profile)
		}
		return err
	})
}

// profileInfo is what all forms of a profile's description have, by the same names.
func profileInfo(session *driver.Session, profile driver.Profile) C.nvmlGpuInstanceProfileInfo_t {
	return C.nvmlGpuInstanceProfileInfo_t{
		id: C.uint(profile.ID), sliceCount: C.uint(profile.Compute), instanceCount: C.uint(profile.Max),
		multiprocessorCount: C.uint(profile.SM), copyEngineCount: C.uint(profile.CE),
		decoderCount: C.uint(profile.DEC), encoderCount: C.uint(profile.ENC), jpegCount: C.uint(profile.JPEG),
		ofaCount: C.uint(profile.OFA), memorySizeMB: C.ulonglong(profile.MiB.At(session.Branch)),
	}
}

// nvmlDeviceGetGpuInstanceProfileInfoV leaves 0 in `version`, as captured.
//
//export nvmlDeviceGetGpuInstanceProfileInfoV
func nvmlDeviceGetGpuInstanceProfileInfoV(
	handle C.nvmlDevice_t, number C.uint, info *C.nvmlGpuInstanceProfileInfo_v2_t,
) C.nvmlReturn_t {
	if info == nil || info.version != C.nvmlGpuInstanceProfileInfo_v2 && info.version != C.nvmlGpuInstanceProfileInfo_v3 {
		return ask(func(*driver.Session) error { return driver.InvalidArgument })
	}
	return ofGPU(handle, func(session *driver.Session, device driver.Device) error {
		profile, err := session.ProfileByNumber(device, uint32(number))
		if err != nil {
			return err
		}
		plain, name := profileInfo(session, profile), "MIG "+profile.Name
		if info.version == C.nvmlGpuInstanceProfileInfo_v2 {
			*info = C.nvmlGpuInstanceProfileInfo_v2_t{
				id: plain.id, sliceCount: plain.sliceCount, instanceCount: plain.instanceCount,
				multiprocessorCount: plain.multiprocessorCount, copyEngineCount: plain.copyEngineCount,
				decoderCount: plain.decoderCount, encoderCount: plain.encoderCount, jpegCount: plain.jpegCount,
				ofaCount: plain.ofaCount, memorySizeMB: plain.memorySizeMB,
			}
			return put(&info.name[0], C.uint(len(info.name)), name)
		}
		newer := (*C.nvmlGpuInstanceProfileInfo_v3_t)(unsafe.Pointer(info))
		*newer = C.nvmlGpuInstanceProfileInfo_v3_t{
			id: plain.id, sliceCount: plain.sliceCount, instanceCount: plain.instanceCount,
			multiprocessorCount: plain.multiprocessorCount, copyEngineCount: plain.copyEngineCount,
			decoderCount: plain.decoderCount, encoderCount: plain.encoderCount, jpegCount: plain.jpegCount,
			ofaCount: plain.ofaCount, memorySizeMB: plain.memorySizeMB,
		}
		return put(&newer.name[0], C.uint(len(newer.name)), name)
	})
}

//export nvmlDeviceGetGpuInstancePossiblePlacements_v2
func nvmlDeviceGetGpuInstancePossiblePlacements_v2(
	handle C.nvmlDevice_t, profileID C.uint, placements *C.nvmlGpuInstancePlacement_t, count *C.uint,
) C.nvmlReturn_t {
	return ofGPU(handle, func(session *driver.Session, device driver.Device) error {
		if err := given(count); err != nil {
			return err
		}
		if !driver.Privileged() {
			return driver.InsufficientPermissions
		}
		starts, size, err := session.Starts(device, int(profileID))
		if err != nil {
			return err
		}
		*count = C.uint(len(starts))
		if placements == nil {
			return nil
		}
		into := unsafe.Slice(placements, len(starts))
		for i, start := range starts {
			into[i] = C.nvmlGpuInstancePlacement_t{start: C.uint(start), size: C.uint(size)}
		}
		return nil
	})
}

//export nvmlDeviceGetGpuInstanceRemainingCapacity
func nvmlDeviceGetGpuInstanceRemainingCapacity(handle C.nvmlDevice_t, profileID C.uint, count *C.uint) C.nvmlReturn_t {
	return ofGPU(handle, func(session *driver.Session, device driver.Device) error {
		if err := given(count); err != nil {
			return err
		}
		if !driver.Privileged() {
			return driver.InsufficientPermissions
		}
		profile, known := device.Model.Profile(session.Branch, int(profileID))
		if !known {
			return driver.NotSupported
		}
		*count = C.uint(device.Model.Free(device.State.Instances, profile))
		return nil
	})
}
