package driver

import "slices"

func (model Model) count(instances []GPUInstance, profile Profile) int {
	count := 0
	for _, instance := range instances {
		if instance.Profile == profile.ID {
			count++
		}
	}
	return count
}

// fits tells whether the GPU has room from start on for one more instance. Memory slots decide: whatever lies in them
// by the starts there are has no more compute slices than the GPU.
func (model Model) fits(instances []GPUInstance, profile Profile, start int) bool {
	if model.count(instances, profile) >= profile.Max {
		return false
	}
	for _, instance := range instances {
		size := model.ProfileByID(instance.Profile).Memory
		if start < instance.Start+size && instance.Start < start+profile.Memory {
			return false
		}
	}
	return true
}

// firstFit is where the driver puts an instance that nobody gave a place. It tries only its own order, so a GPU with
// room for the sum of a list may still refuse the last of it.
func (model Model) firstFit(instances []GPUInstance, profile Profile) (int, bool) {
	for _, start := range profile.Fill {
		if model.fits(instances, profile, start) {
			return start, true
		}
	}
	return 0, false
}

// Free is how many more instances of a profile fit, as -lgip counts them.
func (model Model) Free(instances []GPUInstance, profile Profile) int {
	imagined := slices.Clone(instances)
	for count := 0; ; count++ {
		start, found := model.firstFit(imagined, profile)
		if !found {
			return count
		}
		imagined = append(imagined, GPUInstance{Profile: profile.ID, Start: start})
	}
}

// instanceID numbers the nodes of the binary tree over the memory slots: 0 the whole, 1 and 2 the halves, 3 to 6 the
// quarters, 7 to 14 the eighths. Which half comes first differs from chip to chip; here the last digit of the UUID
// decides.
func (model Model) instanceID(gpu GPU, profile Profile, start int) int {
	index, parts := start/profile.Memory, model.MemorySlots/profile.Memory
	if model.MemorySlots == 8 && parts > 1 && upperHalfFirst(gpu) {
		index = (index + parts/2) % parts
	}
	return parts - 1 + index
}

func upperHalfFirst(gpu GPU) bool {
	return len(gpu.UUID) > 0 && slices.Contains([]byte("13579bdfBDF"), gpu.UUID[len(gpu.UUID)-1])
}

// InListOrder is the order of -lgi and -lci: by profile as -lgip lists them, then by id.
func (model Model) InListOrder(instances []GPUInstance) []GPUInstance {
	rank := map[int]int{}
	for i, profile := range model.Profiles {
		rank[profile.ID] = i
	}
	sorted := slices.Clone(instances)
	slices.SortFunc(sorted, func(a, b GPUInstance) int {
		if rank[a.Profile] != rank[b.Profile] {
			return rank[a.Profile] - rank[b.Profile]
		}
		return a.ID - b.ID
	})
	return sorted
}

// FreeSlices are the compute slices of a GPU instance that no compute instance has.
func (model Model) FreeSlices(instance GPUInstance) []int {
	profile := model.ProfileByID(instance.Profile)
	taken := make([]bool, profile.Compute)
	for _, compute := range instance.Compute {
		for i := range model.ComputeProfileByID(profile, compute.Profile).Slices {
			taken[compute.Start+i] = true
		}
	}
	var free []int
	for slice, isTaken := range taken {
		if !isTaken {
			free = append(free, slice)
		}
	}
	return free
}

// FreeCompute is how many more compute instances of a profile are counted as possible, as -lcip does.
func (model Model) FreeCompute(instance GPUInstance, part ComputeProfile) int {
	return len(model.FreeSlices(instance)) / part.Slices
}

// firstComputeFit is the first place in a GPU instance with as many free slices side by side as a profile needs.
func (model Model) firstComputeFit(instance GPUInstance, part ComputeProfile) (int, bool) {
	free := model.FreeSlices(instance)
	for i, start := range free {
		if end := i + part.Slices; end <= len(free) && free[end-1] == start+part.Slices-1 {
			return start, true
		}
	}
	return 0, false
}
