package driver

import "fmt"

// ComputeProfile is a compute instance profile inside a GPU instance.
type ComputeProfile struct {
	Name   string
	ID     int
	Slices int
	SM     int
	Total  int // how many fit into an empty GPU instance
}

var computeProfileIDs = map[int]int{1: 0, 2: 1, 3: 2, 4: 3, 7: 4}

// ComputeProfiles are those of a GPU instance; the last one fills it and is the default.
func (model Model) ComputeProfiles(profile Profile) []ComputeProfile {
	if profile.doubleMemory() {
		return []ComputeProfile{{Name: profile.Name, ID: 7, Slices: 1, SM: profile.SM, Total: 1}}
	}
	var found []ComputeProfile
	for _, slices := range []int{1, 2, 3, 4, 7} {
		switch {
		case slices == profile.Compute:
			full := ComputeProfile{Name: profile.Name, ID: computeProfileIDs[slices], Slices: slices, SM: profile.SM, Total: 1}
			return append(found, full)
		case slices == 3 && profile.Compute == 4: // not offered (seen on an A100)
		default:
			found = append(found, ComputeProfile{
				Name: fmt.Sprintf("%dc.%s", slices, profile.Name), ID: computeProfileIDs[slices], Slices: slices,
				SM: slices * model.SMPerSlice, Total: profile.Compute / slices,
			})
		}
	}
	panic(fmt.Sprintf("profile %s has %d compute slices", profile.Name, profile.Compute))
}

// DefaultComputeProfile fills a GPU instance.
func (model Model) DefaultComputeProfile(profile Profile) ComputeProfile {
	all := model.ComputeProfiles(profile)
	return all[len(all)-1]
}

// ComputeProfileByID is the profile of a compute instance that exists.
func (model Model) ComputeProfileByID(profile Profile, id int) ComputeProfile {
	found, known := model.computeProfile(profile, id)
	if !known {
		panic(fmt.Sprintf("GPU instance profile %s has no compute instance profile %d", profile.Name, id))
	}
	return found
}

func (model Model) computeProfile(profile Profile, id int) (ComputeProfile, bool) {
	for _, candidate := range model.ComputeProfiles(profile) {
		if candidate.ID == id {
			return candidate, true
		}
	}
	return ComputeProfile{}, false
}
