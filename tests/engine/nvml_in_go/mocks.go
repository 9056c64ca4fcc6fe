package main

import (
	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"github.com/NVIDIA/go-nvml/pkg/nvml/mock/gpus"
)

// table is a model as go-nvml has it for tests, its profiles by NVML's number.
type table struct {
	Name        string                              `json:"name"`
	MemoryMiB   uint64                              `json:"memory_mib"`
	PCIDeviceID uint32                              `json:"pci_device_id"`
	Profiles    map[int]nvml.GpuInstanceProfileInfo `json:"profiles"`
	Starts      map[int][]uint32                    `json:"starts"`
	Sizes       map[int]uint32                      `json:"sizes"`
}

// models are those of our catalogue that go-nvml has a table of.
var models = map[string]gpus.Config{
	"A100-40GB":  gpus.A100_SXM4_40GB,
	"A100-80GB":  gpus.A100_PCIE_80GB,
	"A30-24GB":   gpus.A30_PCIE_24GB,
	"H100-80GB":  gpus.H100_SXM5_80GB,
	"H200-141GB": gpus.H200_SXM5_141GB,
}

func mocks() (any, error) {
	tables := map[string]table{}
	for model, config := range models {
		made := table{
			Name: config.Name, MemoryMiB: config.MemoryMB, PCIDeviceID: config.PciDeviceId,
			Profiles: config.MIGProfiles.GpuInstanceProfiles, Starts: map[int][]uint32{}, Sizes: map[int]uint32{},
		}
		for number, placements := range config.MIGProfiles.GpuInstancePlacements {
			for _, placement := range placements {
				made.Starts[number] = append(made.Starts[number], placement.Start)
				made.Sizes[number] = placement.Size
			}
		}
		tables[model] = made
	}
	return tables, nil
}
