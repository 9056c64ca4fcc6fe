package main

import (
	"slices"
	"strconv"
	"strings"
)

// call is a parsed command line: what the options say, and the one action.
type call struct {
	helpText string
	help     bool
	changes  bool // wants to be the only writer
	ids      string
	query    bool     // -q
	xml      bool     // -x
	mode     bool     // -mig
	fields   []string // --query-…
	format   string
	mig      migCall
	run      func(*session, call) int
}

// smiOption is an option of nvidia-smi. One with `run` is an action, of which a command line has one.
type smiOption struct {
	names   []string
	value   value
	read    func(*call, string) error
	changes bool
	run     func(*session, call) int
}

// value is how an option takes one.
type value int

const (
	none     value = iota
	attached       // behind "="
	needed         // behind "=" or as the next word
	optional       // so, or not at all
)

// parseCall reads a command line; false if nvidia-smi would not understand it.
func parseCall(arguments []string) (call, bool) {
	if len(arguments) > 0 && arguments[0] == "mig" {
		c, actions, ok := parse(call{helpText: migHelpText}, migOptions, arguments[1:])
		return c, ok && (c.help || actions == 1)
	}
	table := func(s *session, _ call) int { return s.table() }
	c, actions, ok := parse(call{helpText: helpText, run: table}, smiOptions, arguments)
	return c, ok && actions <= 1 && (c.query || !c.xml)
}

// parse reads words by a table of options, up to -h, and counts the actions.
func parse(c call, options []smiOption, words []string) (call, int, bool) {
	actions := 0
	for len(words) > 0 {
		name, value, hasValue := strings.Cut(words[0], "=")
		words = words[1:]
		if name == "-h" || name == "--help" {
			c.help = true
			return c, actions, true
		}
		index := slices.IndexFunc(options, func(o smiOption) bool { return slices.Contains(o.names, name) })
		if index < 0 {
			return c, actions, false
		}
		found := options[index]
		next := found.value == needed || found.value == optional && len(words) > 0 && !strings.HasPrefix(words[0], "-")
		if next && !hasValue && len(words) > 0 {
			value, words = words[0], words[1:]
		}
		if found.read != nil && found.read(&c, value) != nil {
			return c, actions, false
		}
		if found.run != nil {
			actions++
			c.run, c.changes = found.run, c.changes || found.changes
		}
	}
	return c, actions, true
}

var idOption = smiOption{names: []string{"-i", "--id"}, value: needed, read: func(c *call, value string) error {
	c.ids = value
	return nil
}}

var smiOptions = []smiOption{
	idOption,
	{names: []string{"-L", "--list-gpus"}, run: func(s *session, _ call) int { return s.list() }},
	{names: []string{"-q", "--query"}, read: func(c *call, _ string) error {
		c.query = true
		return nil
	}, run: func(s *session, c call) int {
		if c.xml {
			return s.xmlDetails()
		}
		return s.details()
	}},
	{names: []string{"-x", "--xml-format"}, read: func(c *call, _ string) error {
		c.xml = true
		return nil
	}},
	{names: []string{"-r", "--gpu-reset"}, changes: true, run: func(s *session, _ call) int { return s.reset() }},
	{names: []string{"-mig", "--multi-instance-gpu"}, value: needed, changes: true,
		read: func(c *call, value string) (err error) {
			c.mode, err = strconv.ParseBool(value)
			return err
		},
		run: func(s *session, c call) int { return s.setMode(c.mode) }},
	{names: []string{"--query-gpu"}, value: attached, read: readFields,
		run: func(s *session, c call) int { return s.queryGPU(c.fields, c.format) }},
	{names: []string{"--query-compute-apps"}, value: attached, read: readFields,
		run: func(s *session, c call) int { return s.queryProcesses(c.fields, c.format) }},
	{names: []string{"--format"}, value: attached, read: func(c *call, value string) error {
		c.format = value
		return nil
	}},
}

func readFields(c *call, value string) error {
	c.fields = strings.Split(value, ",")
	return nil
}

const helpText = `nvidia-smi of the mig-k8s sandbox: stands in for NVIDIA's.

    nvidia-smi                                      the table of GPUs, MIG devices and processes
    nvidia-smi -L                                   GPUs and MIG devices with their UUIDs
    nvidia-smi -q [-x]                              details; -x: as XML, with the MIG devices
    nvidia-smi --query-gpu=FIELD,... --format=csv[,noheader][,nounits]
    nvidia-smi --query-compute-apps=FIELD,... --format=csv[,noheader]
    nvidia-smi -mig 0|1                             MIG mode
    nvidia-smi --gpu-reset
    nvidia-smi mig -h                               GPU instances and compute instances

All take -i with GPU indices, PCI bus ids or UUIDs, comma separated.
`
