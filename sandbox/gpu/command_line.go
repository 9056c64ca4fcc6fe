package main

import (
	"strconv"
	"strings"
)

// call is a parsed command line.
type call struct {
	help     bool
	helpText string
	changes  bool // wants to be the only writer
	ids      string
	run      func(*session) int
}

func parseCall(arguments []string) (call, bool) {
	if len(arguments) > 0 && arguments[0] == "mig" {
		return parseMIG(arguments[1:])
	}
	c := call{run: (*session).table, helpText: helpText}
	actions, format, reader := 0, "", words{arguments}
	act := func(run func(*session) int) { actions++; c.run = run }
	for {
		word, more := reader.next()
		if !more {
			break
		}
		name, value, hasValue := strings.Cut(word, "=")
		switch name {
		case "-h", "--help":
			c.help = true
		case "-L", "--list-gpus":
			act((*session).list)
		case "-q", "--query":
			act((*session).details)
		case "-r", "--gpu-reset":
			c.changes = true
			act((*session).reset)
		case "-i", "--id":
			c.ids = reader.valueOf(value, hasValue)
		case "-mig", "--multi-instance-gpu":
			wanted, err := strconv.ParseBool(reader.valueOf(value, hasValue))
			if err != nil {
				return c, false
			}
			c.changes = true
			act(func(s *session) int { return s.setMode(wanted) })
		case "--query-gpu":
			act(func(s *session) int { return s.queryGPU(strings.Split(value, ","), format) })
		case "--query-compute-apps":
			act(func(s *session) int { return s.queryProcesses(strings.Split(value, ","), format) })
		case "--format":
			format = value
		default:
			return c, false
		}
	}
	return c, actions <= 1
}

// words reads a command line word by word.
type words struct{ left []string }

func (w *words) next() (string, bool) {
	if len(w.left) == 0 {
		return "", false
	}
	word := w.left[0]
	w.left = w.left[1:]
	return word, true
}

// valueOf is what stood behind "=", else the next word.
func (w *words) valueOf(value string, hasValue bool) string {
	if !hasValue {
		value, _ = w.next()
	}
	return value
}

const helpText = `nvidia-smi of the mig-k8s sandbox: stands in for NVIDIA's.

    nvidia-smi                                      the table of GPUs, MIG devices and processes
    nvidia-smi -L                                   GPUs and MIG devices with their UUIDs
    nvidia-smi -q                                   details
    nvidia-smi --query-gpu=FIELD,... --format=csv[,noheader][,nounits]
    nvidia-smi --query-compute-apps=FIELD,... --format=csv[,noheader]
    nvidia-smi -mig 0|1                             MIG mode
    nvidia-smi --gpu-reset
    nvidia-smi mig -h                               GPU instances and compute instances

All take -i with GPU indices, PCI bus ids or UUIDs, comma separated.
`
