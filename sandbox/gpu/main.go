// Command gpu stands in for the NVIDIA driver's programs on a machine without a GPU. It is one static program that
// looks at the name it is called by: nvidia-smi, load-driver, nv-fabricmanager, container-hook or vectorAdd. Called by any other name, its first argument is the name, or "calls": see answerCalls.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

var programs = map[string]func(arguments []string) int{
	"nvidia-smi":       nvidiaSMI,
	"load-driver":      loadDriver,
	"nv-fabricmanager": fabricManager,
	"container-hook":   containerHook,
	"vectorAdd":        vectorAdd,
}

func main() {
	name, arguments := filepath.Base(os.Args[0]), os.Args[1:]
	if slices.Equal(arguments, []string{"calls"}) {
		os.Exit(answerCalls())
	}
	program, known := programs[name]
	if !known && len(arguments) > 0 {
		program, known = programs[arguments[0]]
		arguments = arguments[1:]
	}
	if !known {
		names := make([]string, 0, len(programs))
		for name := range programs {
			names = append(names, name)
		}
		sort.Strings(names)
		fmt.Fprintf(os.Stderr, "%s: call me as one of: %s\n", name, strings.Join(names, ", "))
		os.Exit(2)
	}
	os.Exit(program(arguments))
}
