// Command nvml is libnvidia-ml.so.1, the interface that NVIDIA's programs have to the driver, over the fake GPU's state:
// built with -buildmode=c-shared. Each function asks package driver, as nvidia-smi does, and decides nothing itself.
//
// Types and prototypes are those of NVIDIA's own nvml.h, which the compiler holds every exported function to.
package main

/*
#include "functions.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"mig-k8s/sandbox/gpu/driver"
)

func main() {} // a shared library has none, and Go wants one

// everyCall is what a fault has to name to let calls of the library hang: all calls of nvidia-smi.
const everyCall = " "

var (
	mutex        sync.Mutex // of all that follows, and of the driver's catalogue
	initialised  int        // how often
	errorStrings = map[driver.Status]C.constText{}
)

//export nvmlInit_v2
func nvmlInit_v2() C.nvmlReturn_t { return nvmlInitWithFlags(0) }

//export nvmlInitWithFlags
func nvmlInitWithFlags(C.uint) C.nvmlReturn_t {
	mutex.Lock()
	defer mutex.Unlock()
	session, err := driver.Open(everyCall, false)
	if err != nil {
		return returned(err)
	}
	session.Close()
	initialised++
	return C.NVML_SUCCESS
}

//export nvmlShutdown
func nvmlShutdown() C.nvmlReturn_t {
	mutex.Lock()
	defer mutex.Unlock()
	if initialised == 0 {
		return returned(driver.Uninitialized)
	}
	initialised--
	return C.NVML_SUCCESS
}

//export nvmlErrorString
func nvmlErrorString(result C.nvmlReturn_t) C.constText {
	mutex.Lock()
	defer mutex.Unlock()
	status := driver.Status(result)
	if _, made := errorStrings[status]; !made { // kept for good: nobody frees what they are given
		errorStrings[status] = C.constText(C.CString(status.Error()))
	}
	return errorStrings[status]
}

// ask runs a question in a session of its own.
func ask(question func(*driver.Session) error) C.nvmlReturn_t { return run(false, question) }

// change runs a change while nobody else changes the driver. What it did is kept also when it fails in the end, as by
// nvidia-smi: a fault counts what was asked for.
func change(act func(*driver.Session) error) C.nvmlReturn_t {
	return run(true, func(session *driver.Session) error {
		return errors.Join(act(session), session.Save())
	})
}

func run(changes bool, act func(*driver.Session) error) C.nvmlReturn_t {
	mutex.Lock()
	defer mutex.Unlock()
	if initialised == 0 {
		return returned(driver.Uninitialized)
	}
	session, err := driver.Open(everyCall, changes)
	if err != nil {
		return returned(err)
	}
	defer session.Close()
	return returned(act(session))
}

// returned is the code of an error. One that is no refusal of the driver, such as a damaged file, is said on standard
// error: its code says nothing.
func returned(err error) C.nvmlReturn_t {
	var refusal driver.Status
	switch {
	case err == nil:
		return C.NVML_SUCCESS
	case errors.As(err, &refusal):
		return C.nvmlReturn_t(refusal)
	}
	fmt.Fprintln(os.Stderr, "libnvidia-ml.so.1:", err)
	return C.NVML_ERROR_UNKNOWN
}

// given refuses a pointer of the caller's that is NULL.
func given[T any](pointers ...*T) error {
	for _, pointer := range pointers {
		if pointer == nil {
			return driver.InvalidArgument
		}
	}
	return nil
}

// put writes a text into the caller's buffer of this length.
func put(buffer *C.char, length C.uint, text string) error {
	switch {
	case buffer == nil:
		return driver.InvalidArgument
	case len(text) >= int(length):
		return driver.InsufficientSize
	}
	into := unsafe.Slice((*byte)(unsafe.Pointer(buffer)), length)
	into[copy(into, text)] = 0
	return nil
}

func flag(on bool) C.uint {
	if on {
		return 1
	}
	return 0
}
