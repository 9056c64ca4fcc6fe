package main

import (
	"errors"

	"github.com/NVIDIA/go-nvlib/pkg/nvlib/device"
	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

type gpu struct {
	UUID         string      `json:"uuid"`
	Architecture string      `json:"architecture"`
	Brand        string      `json:"brand"`
	Capability   string      `json:"compute_capability"`
	BusID        string      `json:"bus_id"`
	Capable      bool        `json:"mig_capable"`
	Enabled      bool        `json:"mig_enabled"`
	Fabric       bool        `json:"fabric_attached"`
	Profiles     []string    `json:"profiles"`
	Devices      []migDevice `json:"mig_devices"`
}

type migDevice struct {
	UUID       string                `json:"uuid"`
	Profile    string                `json:"profile"`
	Attributes nvml.DeviceAttributes `json:"attributes"`
}

func devices() (any, error) {
	library := nvml.New()
	if code := library.Init(); code != nvml.SUCCESS {
		return nil, code
	}
	defer library.Shutdown()
	all, err := device.New(library).GetDevices()
	if err != nil {
		return nil, err
	}
	found := make([]gpu, len(all))
	for i, one := range all {
		if found[i], err = describe(one); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func describe(one device.Device) (gpu, error) {
	var about gpu
	var failures [7]error
	uuid, code := one.GetUUID()
	if code != nvml.SUCCESS {
		return about, code
	}
	about.UUID = uuid
	about.Architecture, failures[0] = one.GetArchitectureAsString()
	about.Brand, failures[1] = one.GetBrandAsString()
	about.Capability, failures[2] = one.GetCudaComputeCapabilityAsString()
	about.BusID, failures[3] = one.GetPCIBusID()
	about.Capable, failures[4] = one.IsMigCapable()
	about.Enabled, failures[5] = one.IsMigEnabled()
	about.Fabric, failures[6] = one.IsFabricAttached()
	profiles, err := one.GetMigProfiles()
	if err := errors.Join(append(failures[:], err)...); err != nil {
		return about, err
	}
	for _, profile := range profiles {
		about.Profiles = append(about.Profiles, profile.String())
	}
	migs, err := one.GetMigDevices()
	for _, mig := range migs {
		described, failure := describeMIG(mig)
		about.Devices, err = append(about.Devices, described), errors.Join(err, failure)
	}
	return about, err
}

func describeMIG(mig device.MigDevice) (migDevice, error) {
	uuid, code := mig.GetUUID()
	if code != nvml.SUCCESS {
		return migDevice{}, code
	}
	attributes, code := mig.GetAttributes()
	if code != nvml.SUCCESS {
		return migDevice{}, code
	}
	profile, err := mig.GetProfile()
	if err != nil {
		return migDevice{}, err
	}
	return migDevice{uuid, profile.String(), attributes}, nil
}
