package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mig-k8s/sandbox/gpu/driver"
)

// field is a column of --query-gpu; unit is "" for texts.
type field struct {
	unit  string
	value func(*session, driver.Device) string
}

var gpuFields = map[string]field{
	"index":            {value: func(_ *session, d driver.Device) string { return strconv.Itoa(d.Index) }},
	"count":            {value: func(s *session, _ driver.Device) string { return strconv.Itoa(len(s.devices)) }},
	"name":             {value: func(_ *session, d driver.Device) string { return d.Name }},
	"gpu_name":         {value: func(_ *session, d driver.Device) string { return d.Name }},
	"uuid":             {value: func(_ *session, d driver.Device) string { return d.UUID }},
	"gpu_uuid":         {value: func(_ *session, d driver.Device) string { return d.UUID }},
	"pci.bus_id":       {value: func(_ *session, d driver.Device) string { return d.PCIBusID }},
	"gpu_bus_id":       {value: func(_ *session, d driver.Device) string { return d.PCIBusID }},
	"pci.device_id":    {value: func(_ *session, d driver.Device) string { return d.Model.PCIDeviceID }},
	"driver_version":   {value: func(s *session, _ driver.Device) string { return s.Version }},
	"mig.mode.current": {value: func(_ *session, d driver.Device) string { return enabled(d.State.Mode) }},
	"mig.mode.pending": {value: func(_ *session, d driver.Device) string { return enabled(d.Pending) }},
	"memory.total":     {unit: "MiB", value: func(_ *session, d driver.Device) string { return strconv.Itoa(d.Model.MemoryMiB) }},
	"memory.used":      {unit: "MiB", value: func(_ *session, d driver.Device) string { return strconv.Itoa(d.UsedMiB) }},
	"compute_cap":      {value: func(_ *session, d driver.Device) string { return d.Model.ComputeCapability }},
	"vbios_version":    {value: func(_ *session, d driver.Device) string { return d.Model.VBIOS }},
	"persistence_mode": {value: func(_ *session, d driver.Device) string { return enabled(d.PersistenceMode()) }},
	"temperature.gpu":  {value: func(_ *session, d driver.Device) string { return strconv.Itoa(d.Temperature()) }},
	"ecc.mode.current": {value: func(*session, driver.Device) string { return "Enabled" }},
}

func enabled(on bool) string {
	if on {
		return "Enabled"
	}
	return "Disabled"
}

// queryGPU is `nvidia-smi --query-gpu=FIELDS --format=csv[,noheader][,nounits]`.
func (s *session) queryGPU(names []string, format string) int {
	var header []string
	for _, name := range names {
		known, ok := gpuFields[name]
		if !ok {
			fmt.Fprintf(s.out, "Field \"%s\" is not a valid field to query.\n\n", name)
			return wrongUsage
		}
		if known.unit != "" {
			name += " [" + known.unit + "]"
		}
		header = append(header, name)
	}
	if !s.writeHeader(header, format) {
		return wrongUsage
	}
	units := !slices.Contains(strings.Split(format, ","), "nounits")
	for _, device := range s.devices {
		var values []string
		for _, name := range names {
			value := gpuFields[name].value(s, device)
			if unit := gpuFields[name].unit; unit != "" && units {
				value += " " + unit
			}
			values = append(values, value)
		}
		fmt.Fprintln(s.out, strings.Join(values, ", "))
	}
	return 0
}

var processFields = map[string]string{
	"pid": "pid", "process_name": "process_name", "name": "process_name", "gpu_uuid": "gpu_uuid", "gpu_name": "gpu_name",
	"gpu_bus_id": "gpu_bus_id", "timestamp": "timestamp",
	"used_memory": "used_gpu_memory [MiB]", "used_gpu_memory": "used_gpu_memory [MiB]",
}

// queryProcesses is `nvidia-smi --query-compute-apps=FIELDS`: no process ever computes on these GPUs.
func (s *session) queryProcesses(names []string, format string) int {
	var header []string
	for _, name := range names {
		column, known := processFields[name]
		if !known {
			fmt.Fprintf(s.out, "Field \"%s\" is not a valid field to query.\n\n", name)
			return wrongUsage
		}
		header = append(header, column)
	}
	if !s.writeHeader(header, format) {
		return wrongUsage
	}
	return 0
}

// writeHeader refuses any format but csv, which --format must name.
func (s *session) writeHeader(header []string, format string) bool {
	options := strings.Split(format, ",")
	for _, option := range options {
		if !slices.Contains([]string{"csv", "noheader", "nounits"}, option) {
			fmt.Fprint(s.out, wrongUsageText)
			return false
		}
	}
	if !slices.Contains(options, "csv") {
		fmt.Fprint(s.out, wrongUsageText)
		return false
	}
	if !slices.Contains(options, "noheader") {
		fmt.Fprintln(s.out, strings.Join(header, ", "))
	}
	return true
}
