package main

/*
#include "functions.h"
*/
import "C"

import (
	"unsafe"

	"mig-k8s/sandbox/gpu/driver"
)

// computeProfile is a compute instance profile inside a GPU instance, by NVML's number.
func computeProfile(session *driver.Session, handle C.nvmlGpuInstance_t, number, engines C.uint) (
	profile driver.Profile, part driver.ComputeProfile, err error,
) {
	device, instance, err := gpuInstanceOf(session, handle)
	if err != nil {
		return profile, part, err
	}
	if engines >= C.NVML_COMPUTE_INSTANCE_ENGINE_PROFILE_COUNT {
		return profile, part, driver.InvalidArgument
	}
	profile = device.Model.ProfileByID(instance.Profile)
	part, err = session.ComputeProfileByNumber(device, profile, uint32(number))
	return profile, part, err
}

//export nvmlGpuInstanceGetComputeInstanceProfileInfo
func nvmlGpuInstanceGetComputeInstanceProfileInfo(
	handle C.nvmlGpuInstance_t, number, engines C.uint, info *C.nvmlComputeInstanceProfileInfo_t,
) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if err := given(info); err != nil {
			return err
		}
		profile, part, err := computeProfile(session, handle, number, engines)
		if err != nil {
			return err
		}
		*info = C.nvmlComputeInstanceProfileInfo_t{
			id: C.uint(part.ID), sliceCount: C.uint(part.Slices), instanceCount: C.uint(part.Total),
			multiprocessorCount: C.uint(part.SM), sharedCopyEngineCount: C.uint(profile.CE),
			sharedDecoderCount: C.uint(profile.DEC), sharedEncoderCount: C.uint(profile.ENC),
			sharedJpegCount: C.uint(profile.JPEG), sharedOfaCount: C.uint(profile.OFA),
		}
		return nil
	})
}

//export nvmlGpuInstanceGetComputeInstanceProfileInfoV
func nvmlGpuInstanceGetComputeInstanceProfileInfoV(
	handle C.nvmlGpuInstance_t, number, engines C.uint, info *C.nvmlComputeInstanceProfileInfo_v2_t,
) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if err := given(info); err != nil {
			return err
		}
		if info.version != C.nvmlComputeInstanceProfileInfo_v2 && info.version != C.nvmlComputeInstanceProfileInfo_v3 {
			return driver.InvalidArgument
		}
		profile, part, err := computeProfile(session, handle, number, engines)
		if err != nil {
			return err
		}
		if info.version == C.nvmlComputeInstanceProfileInfo_v3 { // the same with a last field more
			(*C.nvmlComputeInstanceProfileInfo_v3_t)(unsafe.Pointer(info)).capabilities = 0
		}
		*info = C.nvmlComputeInstanceProfileInfo_v2_t{
			id: C.uint(part.ID), sliceCount: C.uint(part.Slices), instanceCount: C.uint(part.Total),
			multiprocessorCount: C.uint(part.SM), sharedCopyEngineCount: C.uint(profile.CE),
			sharedDecoderCount: C.uint(profile.DEC), sharedEncoderCount: C.uint(profile.ENC),
			sharedJpegCount: C.uint(profile.JPEG), sharedOfaCount: C.uint(profile.OFA),
		}
		return put(&info.name[0], C.uint(len(info.name)), "MIG "+part.Name)
	})
}

//export nvmlGpuInstanceGetComputeInstanceRemainingCapacity
func nvmlGpuInstanceGetComputeInstanceRemainingCapacity(
	handle C.nvmlGpuInstance_t, profileID C.uint, count *C.uint,
) C.nvmlReturn_t {
	return inGPUInstance(handle, func(session *driver.Session, device driver.Device, instance driver.GPUInstance) error {
		if err := given(count); err != nil {
			return err
		}
		part, err := session.ComputeProfileByNumber(device, device.Model.ProfileByID(instance.Profile), uint32(profileID))
		if err != nil {
			return err
		}
		*count = C.uint(device.Model.FreeCompute(instance, part))
		return nil
	})
}
