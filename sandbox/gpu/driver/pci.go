package driver

import (
	"strconv"
	"strings"
)

// BusID is where a device is plugged in.
type BusID struct{ Domain, Bus, Device uint32 }

// ParseBusID reads DOMAIN:BUS:DEVICE.FUNCTION in hexadecimal digits, without the domain or the function too.
func ParseBusID(text string) (BusID, bool) {
	place, function, given := strings.Cut(text, ".")
	if _, err := strconv.ParseUint(function, 16, 3); given && err != nil {
		return BusID{}, false
	}
	parts := strings.Split(place, ":")
	if len(parts) == 2 {
		parts = []string{"0", parts[0], parts[1]}
	}
	if len(parts) != 3 {
		return BusID{}, false
	}
	var numbers [3]uint32
	for i, bits := range [3]int{32, 8, 5} {
		number, err := strconv.ParseUint(parts[i], 16, bits)
		if err != nil {
			return BusID{}, false
		}
		numbers[i] = uint32(number)
	}
	return BusID{numbers[0], numbers[1], numbers[2]}, true
}

// At tells whether a GPU is plugged in there.
func (gpu GPU) At(place BusID) bool {
	has, ok := ParseBusID(gpu.PCIBusID)
	return ok && has == place
}
