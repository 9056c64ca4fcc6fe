package main

import (
	"slices"
	"strings"
)

// migCall is the part of a command line behind `nvidia-smi mig`.
type migCall struct {
	profiles         []string // of -cgi or -cci
	instances        []string // -gi
	computeInstances []string // -ci
	withCompute      bool     // -C
}

// parseMIG reads the words behind `nvidia-smi mig`.
func parseMIG(arguments []string) (call, bool) {
	options, actions, reader := migCall{}, 0, words{arguments}
	c := call{helpText: migHelpText}
	act := func(run func(*session, migCall) int) {
		actions++
		c.run = func(s *session) int { return run(s, options) }
	}
	for {
		word, more := reader.next()
		if !more {
			break
		}
		name, value, hasValue := strings.Cut(word, "=")
		switch name {
		case "-h", "--help":
			c.help = true
			return c, true
		case "-i", "--id":
			c.ids = reader.valueOf(value, hasValue)
		case "-gi", "--gpu-instance-id":
			options.instances = strings.Split(reader.valueOf(value, hasValue), ",")
		case "-ci", "--compute-instance-id":
			options.computeInstances = strings.Split(reader.valueOf(value, hasValue), ",")
		case "-C", "--default-compute-instance":
			options.withCompute = true
		case "-lgip", "--list-gpu-instance-profiles":
			act((*session).listInstanceProfiles)
		case "-lgipp", "--list-gpu-instance-possible-placements":
			act((*session).listPlacements)
		case "-lgi", "--list-gpu-instances":
			act((*session).listInstances)
		case "-lcip", "--list-compute-instance-profiles":
			act((*session).listComputeProfiles)
		case "-lci", "--list-compute-instances":
			act((*session).listComputeInstances)
		case "-cgi", "--create-gpu-instance":
			options.profiles = strings.Split(reader.valueOf(value, hasValue), ",")
			c.changes = true
			act((*session).createInstances)
		case "-cci", "--create-compute-instance":
			if options.profiles = []string{""}; hasValue || len(reader.left) > 0 && !strings.HasPrefix(reader.left[0], "-") {
				options.profiles = strings.Split(reader.valueOf(value, hasValue), ",")
			}
			c.changes = true
			act((*session).createComputeInstances)
		case "-dgi", "--destroy-gpu-instance":
			c.changes = true
			act((*session).destroyInstances)
		case "-dci", "--destroy-compute-instance":
			c.changes = true
			act((*session).destroyComputeInstances)
		default:
			return c, false
		}
	}
	return c, actions == 1
}

// migEnabled are the chosen GPUs whose MIG mode is on now.
func (s *session) migEnabled() []Device {
	return slices.DeleteFunc(slices.Clone(s.devices), func(device Device) bool { return !device.State.Mode })
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
