package driver

import (
	"slices"
	"strings"
)

// NVML counts profiles through for all GPUs (NVML_GPU_INSTANCE_PROFILE_1_SLICE is 0) beside the ids that they have on
// one GPU (19), which are those of nvidia-smi. A driver refuses numbers that it does not count to: by the bindings of
// its time (nvidia-ml-py 11.515.75 and 13.580.126), and as captured on 580.
var (
	instanceProfileNumbers = ByBranch{515: 8, 580: 17}
	computeProfileNumbers  = ByBranch{515: 7, 580: 8}
)

// idsOfOtherGPUs are profile ids that the driver knows and an H100 80 GB lacks: it has no place for them, which is not
// the same as an id that no GPU has. Captured on 580.
var idsOfOtherGPUs = []int{35, 47, 65, 66, 67}

// doubleMemory is so for 1g.20gb of 80 GB: one compute slice with the memory of two.
func (profile Profile) doubleMemory() bool { return profile.Compute == 1 && profile.Memory == 2 }

// number is NVML's of this profile.
func (profile Profile) number() int {
	switch {
	case strings.HasSuffix(profile.Name, "+me"):
		return map[int]int{1: 7, 2: 8}[profile.Compute]
	case profile.doubleMemory():
		return 9
	}
	return map[int]int{1: 0, 2: 1, 3: 2, 4: 3, 7: 4}[profile.Compute]
}

// ProfileByNumber is the GPU instance profile of NVML's number, or why there is none: InvalidArgument, NotSupported.
func (s *Session) ProfileByNumber(device Device, number uint32) (Profile, error) {
	if number >= uint32(instanceProfileNumbers.At(s.Branch)) {
		return Profile{}, InvalidArgument
	}
	for _, profile := range device.Model.Known(s.Branch) {
		if profile.number() == int(number) {
			return profile, nil
		}
	}
	return Profile{}, NotSupported
}

// ComputeProfileByNumber is that of a GPU instance by NVML's number, which is its id in the GPU instance too.
func (s *Session) ComputeProfileByNumber(device Device, profile Profile, number uint32) (ComputeProfile, error) {
	if number >= uint32(computeProfileNumbers.At(s.Branch)) {
		return ComputeProfile{}, InvalidArgument
	}
	if part, known := device.Model.computeProfile(profile, int(number)); known {
		return part, nil
	}
	return ComputeProfile{}, NotSupported
}

// Starts are the places of a profile by its id, taken or not.
func (s *Session) Starts(device Device, profileID int) (starts []int, size int, err error) {
	if profile, known := device.Model.Profile(s.Branch, profileID); known {
		return profile.Starts, profile.Memory, nil
	}
	if slices.Contains(idsOfOtherGPUs, profileID) {
		return nil, 0, nil
	}
	return nil, 0, InvalidArgument
}
