package driver

import (
	"cmp"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Device is a GPU as this process sees it.
type Device struct {
	GPU
	Model   Model
	State   *GPUState
	Pending bool // MIG mode after the next reset
	Index   int  // among the visible GPUs
}

// MIGDevice is a compute instance in a GPU instance: what workloads see.
type MIGDevice struct {
	Instance GPUInstance
	Compute  ComputeInstance
	Profile  Profile
	Slices   ComputeProfile
	UUID     string
}

// migUUIDs are those of the tutorial's GPU, whose transcripts show them; the driver's own rule is not published.
var migUUIDs = map[string]string{
	"GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b/1/0":  "MIG-40ed9496-24f9-5b8b-95ca-648bfea46a9c",
	"GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b/5/0":  "MIG-46602d72-bafb-513e-a79c-03cd078519b4",
	"GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b/7/0":  "MIG-5a6ef5fb-e69b-5021-a35e-ad1781308f59",
	"GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b/8/0":  "MIG-3ba76b8d-4677-5637-bb32-ce72da625fa2",
	"GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b/9/0":  "MIG-47bb5436-f317-556f-af01-ff693d020c79",
	"GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b/11/0": "MIG-9b10f6c1-af1d-535f-a8ac-791cc77b8486",
	"GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b/12/0": "MIG-188aade2-5922-58a0-8552-7f8e0be49350",
	"GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b/13/0": "MIG-ab3c9061-ac9b-5f7c-801a-8d35188a6422",
	"GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b/14/0": "MIG-8f8f1f5c-99e3-5c11-8431-492634283a5a",
}

// migUUID belongs to the GPU, the GPU instance id and the compute instance id, whatever the profile. Like the real ones
// it is a version 5 UUID.
func migUUID(gpu string, instance, compute int) string {
	path := fmt.Sprintf("%s/%d/%d", gpu, instance, compute)
	if known, ok := migUUIDs[path]; ok {
		return known
	}
	sum := sha1.Sum([]byte(path))
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80
	text := hex.EncodeToString(sum[:16])
	return fmt.Sprintf("MIG-%s-%s-%s-%s-%s", text[:8], text[8:12], text[12:16], text[16:20], text[20:])
}

// readDevices gives every GPU of the machine that this process may see.
func readDevices(state *State, infoROM map[string]bool) ([]Device, error) {
	gpus, err := ReadGPUs()
	if err != nil {
		return nil, err
	}
	var devices []Device
	for _, gpu := range gpus {
		device := Device{GPU: gpu, Model: catalogue.model(gpu.Model), State: state.of(gpu), Index: len(devices)}
		device.Name = gpu.product()
		if device.Pending = device.State.Pending; device.Model.ModeNeedsReset {
			device.Pending = infoROM[gpu.UUID]
		}
		if has(gpu.deviceFile()) {
			devices = append(devices, device)
		}
	}
	return devices, nil
}

// MIGDevices are the MIG devices in the order of -L, by GPU instance id, then by compute instance id: those whose
// capabilities this process has, or all, where it has the one to monitor them (MIG user guide, device nodes).
func (device Device) MIGDevices() []MIGDevice {
	var found []MIGDevice
	monitors := has(monitorCapability.deviceFile())
	for _, instance := range device.State.Instances {
		profile := device.Model.ProfileByID(instance.Profile)
		for _, compute := range instance.Compute {
			given := monitors || has(instanceCapability(device.GPU, instance.ID).deviceFile()) &&
				has(computeCapability(device.GPU, instance.ID, compute.ID).deviceFile())
			if !given {
				continue
			}
			uuid := migUUID(device.UUID, instance.ID, compute.ID)
			part := device.Model.ComputeProfileByID(profile, compute.Profile)
			found = append(found, MIGDevice{instance, compute, profile, part, uuid})
		}
	}
	slices.SortFunc(found, func(a, b MIGDevice) int {
		if a.Instance.ID != b.Instance.ID {
			return a.Instance.ID - b.Instance.ID
		}
		return a.Compute.ID - b.Compute.ID
	})
	return found
}

// BAR1MiB is a MIG device's part of the GPU's BAR1.
func (device Device) BAR1MiB(branch int, mig MIGDevice) int {
	return (device.Model.BAR1MiB.At(branch) - 1) * mig.Profile.Memory / device.Model.MemorySlots
}

// PersistenceMode is what a client set since the driver was loaded, or what the machine's services set at boot.
func (device Device) PersistenceMode() bool {
	set := cmp.Or(device.State.Persistence, device.Persistence)
	return set == nil || *set
}

// Temperature is in °C.
func (device Device) Temperature() int { return cmp.Or(device.Celsius, device.Model.IdleCelsius) }

// Power is in watts.
func (device Device) Power() int { return cmp.Or(device.Watt, device.Model.IdleWatt) }

// inUse tells whether somebody uses the whole GPU or one of its MIG devices.
func (device Device) inUse(busy []string) bool {
	if slices.Contains(busy, device.UUID) {
		return true
	}
	return slices.ContainsFunc(device.MIGDevices(), func(mig MIGDevice) bool { return slices.Contains(busy, mig.UUID) })
}

// SelectDevices keeps what -i names: indices, PCI bus ids and UUIDs, comma separated. Empty names all.
func SelectDevices(devices []Device, ids string) []Device {
	if ids == "" {
		return devices
	}
	var chosen []Device
	for _, device := range devices {
		for _, id := range strings.Split(ids, ",") {
			place, isPlace := ParseBusID(id)
			if id == device.UUID || id == strconv.Itoa(device.Index) || isPlace && device.At(place) {
				chosen = append(chosen, device)
				break
			}
		}
	}
	return chosen
}
