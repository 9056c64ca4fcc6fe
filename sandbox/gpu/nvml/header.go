//go:build header

package main

// The library is compiled against nvml.h, which lies in this package: the import has go.mod name its version.
import _ "github.com/NVIDIA/go-nvml/pkg/nvml"
