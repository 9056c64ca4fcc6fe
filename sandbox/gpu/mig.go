package main

import (
	"slices"
	"strings"

	"mig-k8s/sandbox/gpu/driver"
)

// migCall is the part of a command line behind `nvidia-smi mig`.
type migCall struct {
	profiles         []string // of -cgi or -cci
	instances        []string // -gi
	computeInstances []string // -ci
	withCompute      bool     // -C
}

var migOptions = []smiOption{
	idOption,
	{names: []string{"-gi", "--gpu-instance-id"}, value: needed,
		read: list(func(c *migCall) *[]string { return &c.instances })},
	{names: []string{"-ci", "--compute-instance-id"}, value: needed,
		read: list(func(c *migCall) *[]string { return &c.computeInstances })},
	{names: []string{"-C", "--default-compute-instance"}, read: func(c *call, _ string) error {
		c.mig.withCompute = true
		return nil
	}},
	{names: []string{"-lgip", "--list-gpu-instance-profiles"}, run: action((*session).listInstanceProfiles)},
	{names: []string{"-lgipp", "--list-gpu-instance-possible-placements"}, run: action((*session).listPlacements)},
	{names: []string{"-lgi", "--list-gpu-instances"}, run: action((*session).listInstances)},
	{names: []string{"-lcip", "--list-compute-instance-profiles"}, run: action((*session).listComputeProfiles)},
	{names: []string{"-lci", "--list-compute-instances"}, run: action((*session).listComputeInstances)},
	{names: []string{"-cgi", "--create-gpu-instance"}, value: needed, read: readProfiles, changes: true,
		run: action((*session).createInstances)},
	{names: []string{"-cci", "--create-compute-instance"}, value: optional, read: readProfiles, changes: true,
		run: action((*session).createComputeInstances)},
	{names: []string{"-dgi", "--destroy-gpu-instance"}, changes: true,
		run: action((*session).destroyInstances)},
	{names: []string{"-dci", "--destroy-compute-instance"}, changes: true,
		run: action((*session).destroyComputeInstances)},
}

var readProfiles = list(func(c *migCall) *[]string { return &c.profiles })

// list reads a comma separated value.
func list(target func(*migCall) *[]string) func(*call, string) error {
	return func(c *call, value string) error {
		*target(&c.mig) = strings.Split(value, ",")
		return nil
	}
}

func action(run func(*session, migCall) int) func(*session, call) int {
	return func(s *session, c call) int { return run(s, c.mig) }
}

// migEnabled are the chosen GPUs whose MIG mode is on now.
func (s *session) migEnabled() []driver.Device {
	return slices.DeleteFunc(slices.Clone(s.devices), func(device driver.Device) bool { return !device.State.Mode })
}

const migHelpText = `nvidia-smi mig of the mig-k8s sandbox: stands in for NVIDIA's.

    nvidia-smi mig -lgip                             GPU instance profiles
    nvidia-smi mig -lgipp                            where their instances may lie: {starts}:size
    nvidia-smi mig -lgi                              GPU instances
    nvidia-smi mig -cgi PROFILE[:START],... [-C]     make GPU instances; -C fills each with a compute instance
    nvidia-smi mig -dgi [-gi ID,...]                 destroy GPU instances
    nvidia-smi mig -lcip [-gi ID,...]                compute instance profiles
    nvidia-smi mig -lci [-gi ID,...]                 compute instances
    nvidia-smi mig -cci [PROFILE,...] [-gi ID,...]   make compute instances; without a profile, full ones
    nvidia-smi mig -dci [-gi ID,...] [-ci ID,...]    destroy compute instances

All take -i with GPU indices, PCI bus ids or UUIDs, comma separated. A profile is an id or a name.
`
