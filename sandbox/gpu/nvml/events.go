package main

/*
#include <stdlib.h>
#include "functions.h"
*/
import "C"

import (
	"time"
	"unsafe"

	"mig-k8s/sandbox/gpu/driver"
)

// supportedEvents were captured on 580; on 515 they are those that the binding of its time names.
var supportedEvents = map[bool]C.ulonglong{true: 0xff9f, false: 0x19f}

const (
	newEventsSince = 580
	// fellOffTheBus is the number of the error that the kernel reports then.
	fellOffTheBus = 79
	// noInstance says that an event is no GPU or compute instance's.
	noInstance = 0xffffffff
	// lookAgain is how often a client that waits looks at the GPUs.
	lookAgain = 20 * time.Millisecond
)

// eventSet has the GPUs that were registered for the error, by UUID, and whether they were lost when last looked at.
type eventSet map[string]bool

var eventSets = map[unsafe.Pointer]eventSet{}

func eventsOf(session *driver.Session) C.ulonglong {
	return supportedEvents[session.Branch >= newEventsSince]
}

//export nvmlDeviceGetSupportedEventTypes
func nvmlDeviceGetSupportedEventTypes(handle C.nvmlDevice_t, types *C.ulonglong) C.nvmlReturn_t {
	return ofGPU(handle, func(session *driver.Session, _ driver.Device) error {
		if err := given(types); err != nil {
			return err
		}
		*types = eventsOf(session)
		return nil
	})
}

//export nvmlEventSetCreate
func nvmlEventSetCreate(set *C.nvmlEventSet_t) C.nvmlReturn_t {
	return ask(func(*driver.Session) error {
		if err := given(set); err != nil {
			return err
		}
		pointer := C.malloc(1)
		eventSets[pointer] = eventSet{}
		*set = C.nvmlEventSet_t{handle: (*C.struct_nvmlEventSet_st)(pointer)}
		return nil
	})
}

//export nvmlDeviceRegisterEvents
func nvmlDeviceRegisterEvents(handle C.nvmlDevice_t, types C.ulonglong, set C.nvmlEventSet_t) C.nvmlReturn_t {
	return ofGPU(handle, func(session *driver.Session, device driver.Device) error {
		registered, known := eventSets[unsafe.Pointer(set.handle)]
		switch {
		case !known:
			return driver.InvalidArgument
		case types&^eventsOf(session) != 0:
			return driver.NotSupported
		}
		if types&C.nvmlEventTypeXidCriticalError != 0 {
			registered[device.UUID] = false
		}
		return nil
	})
}

// nvmlEventSetWait_v2 reports a GPU that falls off the bus. Nothing else happens to these GPUs that is an event.
//
//export nvmlEventSetWait_v2
func nvmlEventSetWait_v2(set C.nvmlEventSet_t, data *C.nvmlEventData_t, milliseconds C.uint) C.nvmlReturn_t {
	end := time.Now().Add(time.Duration(milliseconds) * time.Millisecond)
	for {
		found := false
		code := ask(func(session *driver.Session) error {
			registered, known := eventSets[unsafe.Pointer(set.handle)]
			if !known || data == nil {
				return driver.InvalidArgument
			}
			for _, device := range session.Devices {
				before, wanted := registered[device.UUID]
				if wanted {
					registered[device.UUID] = session.Lost(device)
				}
				if wanted && !before && session.Lost(device) {
					found = true
					*data = C.nvmlEventData_t{
						device:    deviceHandle(named{kind: aGPU, gpu: device.UUID}),
						eventType: C.nvmlEventTypeXidCriticalError, eventData: fellOffTheBus,
						gpuInstanceId: noInstance, computeInstanceId: noInstance,
					}
					return nil
				}
			}
			if time.Now().After(end) {
				return driver.Timeout
			}
			return nil
		})
		if found || code != C.NVML_SUCCESS {
			return code
		}
		time.Sleep(lookAgain)
	}
}

//export nvmlEventSetFree
func nvmlEventSetFree(set C.nvmlEventSet_t) C.nvmlReturn_t {
	return ask(func(*driver.Session) error {
		pointer := unsafe.Pointer(set.handle)
		if _, known := eventSets[pointer]; !known {
			return driver.InvalidArgument
		}
		delete(eventSets, pointer)
		C.free(pointer)
		return nil
	})
}
