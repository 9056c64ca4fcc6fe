package main

import (
	"fmt"
	"time"

	"mig-k8s/sandbox/gpu/driver"
)

// fabricTexts are state and status; a state that nobody reached yet has no status.
var fabricTexts = map[driver.FabricState]struct{ state, status string }{
	driver.FabricNotSupported: {"N/A", "N/A"},
	driver.FabricInProgress:   {"In Progress", "N/A"},
	driver.FabricCompleted:    {"Completed", "Success"},
}

// details is `nvidia-smi -q`: the lines about identity, MIG mode and virtualization, of the hundreds there are.
func (s *session) details() int {
	line := func(indent, name, value string) {
		fmt.Fprintf(s.out, "%s%-*s : %s\n", indent, 54-len(indent), name, value)
	}
	fmt.Fprint(s.out, "\n==============NVSMI LOG==============\n\n")
	line("", "Timestamp", time.Now().Format("Mon Jan _2 15:04:05 2006"))
	line("", "Driver Version", s.Version)
	line("", "CUDA Version", s.CUDA())
	fmt.Fprintln(s.out)
	line("", "Attached GPUs", fmt.Sprint(len(s.devices)))
	for _, device := range s.devices {
		fmt.Fprintf(s.out, "GPU %s\n", device.PCIBusID)
		line("    ", "Product Name", device.Name)
		line("    ", "Product Brand", "NVIDIA")
		line("    ", "Product Architecture", device.Model.Architecture)
		line("    ", "Persistence Mode", enabled(device.PersistenceMode()))
		fmt.Fprint(s.out, "    MIG Mode\n")
		line("        ", "Current", enabled(device.State.Mode))
		line("        ", "Pending", enabled(device.Pending))
		line("    ", "GPU UUID", device.UUID)
		line("    ", "VBIOS Version", device.Model.VBIOS)
		fmt.Fprint(s.out, "    GPU Virtualization Mode\n")
		line("        ", "Virtualization Mode", "Pass-Through")
		fmt.Fprint(s.out, "    PCI\n")
		line("        ", "Device Id", device.Model.PCIDeviceID)
		line("        ", "Bus Id", device.PCIBusID)
		fabric, err := s.Fabric(device)
		if err != nil {
			return failed(s.out, err)
		}
		said := fabricTexts[fabric]
		fmt.Fprint(s.out, "    Fabric\n")
		line("        ", "State", said.state)
		line("        ", "Status", said.status)
	}
	return 0
}
