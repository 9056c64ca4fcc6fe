package driver

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// catalogue.json is plan/gpu/catalogue.json, put here by the build (sandbox/tools/toolchain.py): models and profiles with
// their slices, starts and multiprocessors.
//
//go:embed catalogue.json
var catalogueJSON []byte

// models.json holds what the driver says of them beyond that: memory and engines from captured output (H100-80GB and
// H200-141GB first-hand, the others published). What nobody captured is plausible only: the fill orders of id 15 and of
// the A30, most BAR1 sizes, idle power and temperature, and every VBIOS version but the H100's.
//
//go:embed models.json
var detailsJSON []byte

// catalogue holds both files with their models as text: a call needs one model and is over in milliseconds, and reading
// all of them would be half of that.
var catalogue = readCatalogue()

type catalogueFile struct {
	models, details map[string]json.RawMessage
	joined          map[string]Model // those that were asked for
	CUDA            map[int]string   // by driver branch: the newest CUDA version it serves; there are no others
}

// Model is a GPU product.
type Model struct {
	ModeNeedsReset bool      `json:"mode_needs_reboot"` // then a reboot keeps the MIG mode, else it is lost there
	MemorySlots    int       `json:"memory_slots"`
	ComputeSlices  int       `json:"compute_slices"`
	Profiles       []Profile `json:"profiles"` // in the order of -lgip
	ModelDetails   `json:"-"`
}

// ModelDetails are a model's entry of models.json.
type ModelDetails struct {
	Name              string                    `json:"name"`
	Architecture      string                    `json:"architecture"`
	ComputeCapability string                    `json:"compute_capability"`
	MemoryMiB         int                       `json:"memory_mib"`
	PCIDeviceID       string                    `json:"pci_device_id"`
	VBIOS             string                    `json:"vbios"`
	PowerLimitWatt    int                       `json:"power_limit_w"`
	IdleWatt          int                       `json:"idle_w"`
	IdleCelsius       int                       `json:"idle_c"`
	BAR1MiB           ByBranch                  `json:"bar1_mib"` // shared out to the instances by memory slots
	Cores             int                       `json:"cores"`
	ReservedMiB       int                       `json:"reserved_mib"`     // by the driver for itself; 0: nobody captured it
	PCISubsystemID    string                    `json:"pci_subsystem_id"` // "": nobody captured it
	SMPerSlice        int                       `json:"sm_per_slice"`
	Profiles          map[string]ProfileDetails `json:"profiles"` // by name
}

// Profile is a GPU instance profile.
type Profile struct {
	Name           string `json:"name"`
	ID             int    `json:"id"`
	Compute        int    `json:"compute_slices"`
	Memory         int    `json:"memory_slices"`
	Starts         []int  `json:"starts"`
	Max            int    `json:"maximum"`
	SM             int    `json:"multiprocessors"`
	ProfileDetails `json:"-"`
}

// ProfileDetails are a profile's entry of models.json.
type ProfileDetails struct {
	Fill  []int    `json:"fill"` // the starts in the order in which the driver takes the first free one
	MiB   ByBranch `json:"mib"`
	DEC   int      `json:"dec"`
	ENC   int      `json:"enc"`
	CE    int      `json:"ce"`
	JPEG  int      `json:"jpeg"`
	OFA   int      `json:"ofa"`
	Since int      `json:"since"` // first driver branch that knows the profile; 0: all of them
}

// ByBranch is a number that changed with some driver branches; the key is the first branch it holds for.
type ByBranch map[int]int

// At is the number that holds for a driver branch.
func (values ByBranch) At(branch int) int {
	best := 0
	for first := range values {
		if first <= branch && first > best {
			best = first
		}
	}
	return values[best]
}

func readCatalogue() catalogueFile {
	var models struct {
		Models map[string]json.RawMessage `json:"models"`
	}
	var smi struct {
		CUDA   map[int]string             `json:"cuda"`
		Models map[string]json.RawMessage `json:"models"`
	}
	if err := errors.Join(json.Unmarshal(catalogueJSON, &models), json.Unmarshal(detailsJSON, &smi)); err != nil {
		panic(fmt.Sprintf("the GPU catalogue: %v", err))
	}
	return catalogueFile{models.Models, smi.Models, map[string]Model{}, smi.CUDA}
}

// model is one of `models`. It joins what the two files say of it; they must have the same profiles.
func (file catalogueFile) model(name string) Model {
	if model, known := file.joined[name]; known {
		return model
	}
	var model Model
	err := errors.Join(json.Unmarshal(file.models[name], &model), json.Unmarshal(file.details[name], &model.ModelDetails))
	if err != nil || len(model.ModelDetails.Profiles) != len(model.Profiles) {
		panic(fmt.Sprintf("models.json lacks %s, or has other profiles of it than catalogue.json: %v", name, err))
	}
	for i, profile := range model.Profiles {
		details, known := model.ModelDetails.Profiles[profile.Name]
		if !known {
			panic(fmt.Sprintf("models.json lacks profile %s of %s", profile.Name, name))
		}
		model.Profiles[i].ProfileDetails = details
	}
	file.joined[name] = model
	return model
}

// Known are the GPU instance profiles that a driver branch knows.
func (model Model) Known(branch int) []Profile {
	var known []Profile
	for _, profile := range model.Profiles {
		if profile.Since <= branch {
			known = append(known, profile)
		}
	}
	return known
}

// FindProfile finds a GPU instance profile by its id or name; nvidia-smi takes "9", "3g.40gb" and "MIG 3g.40gb".
func (model Model) FindProfile(branch int, idOrName string) (Profile, bool) {
	name := strings.TrimPrefix(idOrName, "MIG ")
	id, err := strconv.Atoi(name)
	for _, profile := range model.Known(branch) {
		if profile.Name == name || err == nil && profile.ID == id {
			return profile, true
		}
	}
	return Profile{}, false
}

// Profile finds a GPU instance profile that a driver branch knows by its id.
func (model Model) Profile(branch, id int) (Profile, bool) {
	return model.FindProfile(branch, strconv.Itoa(id))
}

// ProfileByID is the profile of an instance that exists.
func (model Model) ProfileByID(id int) Profile {
	for _, profile := range model.Profiles {
		if profile.ID == id {
			return profile
		}
	}
	panic(fmt.Sprintf("%s has no GPU instance profile %d", model.Name, id))
}
