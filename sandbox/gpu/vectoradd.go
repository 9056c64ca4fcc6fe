package main

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"

	"mig-k8s/sandbox/gpu/driver"
)

const (
	vectorLength    = 50000
	threadsPerBlock = 256
)

// vectorAdd does what NVIDIA's sample of that name does, on the CPU, if there is a device that CUDA would find.
func vectorAdd([]string) int {
	fmt.Printf("[Vector addition of %d elements]\n", vectorLength)
	if reason := cudaError(); reason != "" {
		fmt.Fprintf(os.Stderr, "Failed to allocate device vector A (error code %s)!\n", reason)
		return 1
	}
	a, b, c := make([]float32, vectorLength), make([]float32, vectorLength), make([]float32, vectorLength)
	for i := range a {
		a[i], b[i] = rand.Float32(), rand.Float32()
	}
	fmt.Println("Copy input data from the host memory to the CUDA device")
	blocks := (vectorLength + threadsPerBlock - 1) / threadsPerBlock
	fmt.Printf("CUDA kernel launch with %d blocks of %d threads\n", blocks, threadsPerBlock)
	for block := range blocks {
		for i := block * threadsPerBlock; i < min((block+1)*threadsPerBlock, vectorLength); i++ {
			c[i] = a[i] + b[i]
		}
	}
	fmt.Println("Copy output data from the CUDA device to the host memory")
	for i := range c {
		if math.Abs(float64(a[i])+float64(b[i])-float64(c[i])) > 1e-5 {
			fmt.Fprintf(os.Stderr, "Result verification failed at element %d!\n", i)
			return 1
		}
	}
	fmt.Println("Test PASSED")
	fmt.Println("Done")
	return 0
}

// cudaError is why CUDA finds no device, or "". A GPU with MIG mode on counts only through its MIG devices.
func cudaError() string {
	session, err := driver.Open("", false)
	switch {
	case errors.Is(err, driver.NotLoaded):
		return "CUDA driver version is insufficient for CUDA runtime version"
	case errors.Is(err, driver.LibraryMismatch):
		return "system has unsupported display driver / cuda driver combination"
	case err != nil:
		return err.Error()
	}
	defer session.Close()
	for _, device := range session.Devices {
		if joined, err := device.Joined(session.Faults); err != nil || !joined {
			return "system not yet initialized"
		}
		if !device.State.Mode || len(device.MIGDevices()) > 0 {
			return ""
		}
	}
	return "no CUDA-capable device is detected"
}
