package main

/*
#include "functions.h"
*/
import "C"

import (
	"fmt"
	"strings"

	"mig-k8s/sandbox/gpu/driver"
)

//export nvmlSystemGetDriverVersion
func nvmlSystemGetDriverVersion(version *C.char, length C.uint) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error { return put(version, length, session.Version) })
}

//export nvmlSystemGetNVMLVersion
func nvmlSystemGetNVMLVersion(version *C.char, length C.uint) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		major, _, _ := strings.Cut(session.CUDA(), ".")
		return put(version, length, major+"."+session.Version)
	})
}

//export nvmlSystemGetCudaDriverVersion
func nvmlSystemGetCudaDriverVersion(version *C.int) C.nvmlReturn_t {
	return ask(func(session *driver.Session) error {
		if err := given(version); err != nil {
			return err
		}
		var major, minor C.int
		if _, err := fmt.Sscanf(session.CUDA(), "%d.%d", &major, &minor); err != nil {
			return err
		}
		*version = major*1000 + minor*10
		return nil
	})
}

//export nvmlSystemGetCudaDriverVersion_v2
func nvmlSystemGetCudaDriverVersion_v2(version *C.int) C.nvmlReturn_t {
	return nvmlSystemGetCudaDriverVersion(version)
}
