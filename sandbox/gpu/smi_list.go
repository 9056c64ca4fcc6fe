package main

import "fmt"

// list is `nvidia-smi -L`.
func (s *session) list() int {
	for _, device := range s.devices {
		fmt.Fprintf(s.out, "GPU %d: %s (UUID: %s)\n", device.Index, device.Name, device.UUID)
		for number, mig := range device.MIGDevices() {
			fmt.Fprintf(s.out, "  MIG %-11s Device %2d: (UUID: %s)\n", mig.Slices.Name, number, mig.UUID)
		}
	}
	return 0
}
