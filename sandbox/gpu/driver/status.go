package driver

import "fmt"

// Status is a return code of NVML, the interface that every client of the driver has. As an error it is a refusal.
type Status int

// Those that this driver answers with. nvidia-smi ends with them, and says their texts.
const (
	Success                 Status = 0
	Uninitialized           Status = 1
	InvalidArgument         Status = 2
	NotSupported            Status = 3
	InsufficientPermissions Status = 4
	NotFound                Status = 6
	InsufficientSize        Status = 7
	NotLoaded               Status = 9
	Timeout                 Status = 10
	GPULost                 Status = 15
	LibraryMismatch         Status = 18
	InUse                   Status = 19
	InsufficientResources   Status = 23
	StructVersionMismatch   Status = 25
	Unknown                 Status = 999
)

var statusTexts = map[Status]string{
	Success:                 "Success",
	Uninitialized:           "Uninitialized",
	InvalidArgument:         "Invalid Argument",
	NotSupported:            "Not Supported",
	InsufficientPermissions: "Insufficient Permissions",
	NotFound:                "Not Found",
	InsufficientSize:        "Insufficient Size",
	NotLoaded:               "Driver Not Loaded",
	Timeout:                 "Timeout",
	GPULost:                 "GPU is lost",
	LibraryMismatch:         "RM has detected an NVML/RM version mismatch.",
	InUse:                   "In use by another client",
	InsufficientResources:   "Insufficient Resources",
	StructVersionMismatch:   "Argument version mismatch",
	Unknown:                 "Unknown Error",
}

func (status Status) Error() string {
	if text, known := statusTexts[status]; known {
		return text
	}
	return fmt.Sprintf("Unknown Error %d", int(status))
}
