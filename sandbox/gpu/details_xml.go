package main

import (
	"fmt"
	"strings"
	"time"

	"mig-k8s/sandbox/gpu/driver"
)

// schemaSince are the versions of nvidia-smi's XML by driver branch. 13 was captured with 580.105.08, 11 with 510.47.03,
// which is the nearest to 515 that was.
var schemaSince = driver.ByBranch{515: 11, 580: 13}

// xmlDetails is `nvidia-smi -q -x`: of its hundreds of elements those of details, and the MIG devices. A MIG device has
// neither a UUID nor a profile there, as in every captured answer.
func (s *session) xmlDetails() int {
	fmt.Fprint(s.out, "<?xml version=\"1.0\" ?>\n")
	fmt.Fprintf(s.out, "<!DOCTYPE nvidia_smi_log SYSTEM \"nvsmi_device_v%d.dtd\">\n<nvidia_smi_log>\n", schemaSince.At(s.Branch))
	s.element(1, "timestamp", time.Now().Format("Mon Jan _2 15:04:05 2006"))
	s.element(1, "driver_version", s.Version)
	s.element(1, "cuda_version", s.CUDA())
	s.element(1, "attached_gpus", len(s.devices))
	for _, device := range s.devices {
		if err := s.xmlGPU(device); err != nil {
			return failed(s.out, err)
		}
	}
	fmt.Fprint(s.out, "\n</nvidia_smi_log>\n")
	return 0
}

func (s *session) xmlGPU(device driver.Device) error {
	fabric, err := s.Fabric(device)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "\t<gpu id=\"%s\">\n", device.PCIBusID)
	s.element(2, "product_name", device.Name)
	s.element(2, "product_brand", "NVIDIA")
	s.element(2, "product_architecture", device.Model.Architecture)
	s.element(2, "persistence_mode", enabled(device.PersistenceMode()))
	s.within(2, "mig_mode", func() {
		s.element(3, "current_mig", enabled(device.State.Mode))
		s.element(3, "pending_mig", enabled(device.Pending))
	})
	s.within(2, "mig_devices", func() { s.xmlMIGDevices(device) })
	s.element(2, "uuid", device.UUID)
	s.element(2, "vbios_version", device.Model.VBIOS)
	s.within(2, "gpu_virtualization_mode", func() { s.element(3, "virtualization_mode", "Pass-Through") })
	s.within(2, "pci", func() {
		s.element(3, "pci_device_id", strings.TrimPrefix(device.Model.PCIDeviceID, "0x"))
		s.element(3, "pci_bus_id", device.PCIBusID)
	})
	s.within(2, "fabric", func() {
		s.element(3, "state", fabricTexts[fabric].state)
		s.element(3, "status", fabricTexts[fabric].status)
	})
	fmt.Fprint(s.out, "\t</gpu>\n")
	return nil
}

// xmlMIGDevices are as deep as the element that they stand in, as the captured ones are.
func (s *session) xmlMIGDevices(device driver.Device) {
	devices := device.MIGDevices()
	if len(devices) == 0 {
		fmt.Fprint(s.out, "\t\t\tNone\n")
	}
	for number, mig := range devices {
		s.within(2, "mig_device", func() {
			s.element(3, "index", number)
			s.element(3, "gpu_instance_id", mig.Instance.ID)
			s.element(3, "compute_instance_id", mig.Compute.ID)
			s.within(3, "device_attributes", func() {
				s.within(4, "shared", func() {
					s.element(5, "multiprocessor_count", mig.Slices.SM)
					s.element(5, "copy_engine_count", mig.Profile.CE)
					s.element(5, "encoder_count", mig.Profile.ENC)
					s.element(5, "decoder_count", mig.Profile.DEC)
					s.element(5, "ofa_count", mig.Profile.OFA)
					s.element(5, "jpg_count", mig.Profile.JPEG)
				})
			})
			s.within(3, "ecc_error_count", func() {
				s.within(4, "volatile_count", func() { s.element(5, "sram_uncorrectable", 0) })
			})
			s.xmlMemory("fb_memory_usage", mig.Profile.MiB.At(s.Branch), true)
			s.xmlMemory("bar1_memory_usage", device.BAR1MiB(s.Branch, mig), false)
		})
	}
}

// xmlMemory is memory of a MIG device, of which nobody uses any.
func (s *session) xmlMemory(name string, total int, hasReserved bool) {
	s.within(3, name, func() {
		s.element(4, "total", fmt.Sprintf("%d MiB", total))
		if hasReserved {
			s.element(4, "reserved", "0 MiB")
		}
		s.element(4, "used", "0 MiB")
		s.element(4, "free", fmt.Sprintf("%d MiB", total))
	})
}

func (s *session) element(depth int, name string, value any) {
	fmt.Fprintf(s.out, "%s<%s>%v</%s>\n", strings.Repeat("\t", depth), name, value, name)
}

func (s *session) within(depth int, name string, write func()) {
	indent := strings.Repeat("\t", depth)
	fmt.Fprintf(s.out, "%s<%s>\n", indent, name)
	write()
	fmt.Fprintf(s.out, "%s</%s>\n", indent, name)
}
