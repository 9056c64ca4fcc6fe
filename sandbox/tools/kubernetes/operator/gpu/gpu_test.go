package gpu

import (
	"context"
	"maps"
	"strings"
	"testing"
)

// What a machine with one A100 prints; the MIG devices are the tutorial's.
const (
	gpuName = "GPU 0: NVIDIA A100 80GB PCIe (UUID: GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b)\n"
	three   = "  MIG 3g.40gb     Device  0: (UUID: MIG-40ed9496-24f9-5b8b-95ca-648bfea46a9c)\n"
	two     = "  MIG 2g.20gb     Device  1: (UUID: MIG-46602d72-bafb-513e-a79c-03cd078519b4)\n"
	one     = "  MIG 1g.10gb     Device  2: (UUID: MIG-ab3c9061-ac9b-5f7c-801a-8d35188a6422)\n"
	extra   = "  MIG 1g.10gb+me  Device  0: (UUID: MIG-188aade2-5922-58a0-8552-7f8e0be49350)\n"
	smaller = "  MIG 1c.3g.40gb  Device  0: (UUID: MIG-5a6ef5fb-e69b-5021-a35e-ad1781308f59)\n"
)

// What its devices have, as NVML says.
var profiles = map[string]Profile{
	"1g.10gb":    {MemoryMiB: 9728, Multiprocessors: 14, Copy: 1},
	"1g.10gb+me": {MemoryMiB: 9728, Multiprocessors: 14, Decoder: 1, Copy: 1, JPEG: 1, OFA: 1},
	"3g.40gb":    {MemoryMiB: 40192, Multiprocessors: 42, Decoder: 2, Copy: 3},
}

func read(t *testing.T, mode, list string) *Inventory {
	t.Helper()
	run := func(_ context.Context, arguments ...string) (string, error) {
		switch command := strings.Join(arguments, " "); {
		case command == "-L":
			return list, nil
		default:
			return "0, NVIDIA A100 80GB PCIe, GPU-9f0cc172-1db7-8b47-7302-fa9b2ade0c7b, 81920, 580.159.04, 8.0, " + mode + "\n", nil
		}
	}
	inventory, err := Read(context.Background(), run)
	if err != nil {
		t.Fatal(err)
	}
	inventory.CUDA, inventory.Profiles = "13.0", profiles
	return inventory
}

func counts(resources map[string][]string) map[string]int {
	counted := map[string]int{}
	for name, uuids := range resources {
		counted[name] = len(uuids)
	}
	return counted
}

func TestResourcesByStrategy(t *testing.T) {
	for name, test := range map[string]struct {
		mode, list string
		strategy   Strategy
		want       map[string]int
	}{
		"MIG off, none":                    {"Disabled", gpuName, None, map[string]int{"nvidia.com/gpu": 1}},
		"MIG off, single":                  {"Disabled", gpuName, Single, map[string]int{"nvidia.com/gpu": 1}},
		"MIG off, mixed":                   {"Disabled", gpuName, Mixed, map[string]int{"nvidia.com/gpu": 1}},
		"MIG on, none: the whole GPU":      {"Enabled", gpuName + three + one, None, map[string]int{"nvidia.com/gpu": 1}},
		"single: alike devices are GPUs":   {"Enabled", gpuName + one + one, Single, map[string]int{"nvidia.com/gpu": 2}},
		"mixed: a resource per profile":    {"Enabled", gpuName + three + two + one, Mixed, map[string]int{"nvidia.com/mig-3g.40gb": 1, "nvidia.com/mig-2g.20gb": 1, "nvidia.com/mig-1g.10gb": 1}},
		"mixed: a plus becomes a dot":      {"Enabled", gpuName + extra, Mixed, map[string]int{"nvidia.com/mig-1g.10gb.me": 1}},
		"mixed: no resource for 1c.3g":     {"Enabled", gpuName + smaller, Mixed, map[string]int{}},
		"mixed, empty: nothing":            {"Enabled", gpuName, Mixed, map[string]int{}},
		"a GPU that cannot do MIG, single": {"[N/A]", gpuName, Single, map[string]int{"nvidia.com/gpu": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			resources, err := read(t, test.mode, test.list).Resources(test.strategy)
			if err != nil {
				t.Fatal(err)
			}
			if got := counts(resources); !maps.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestSingleIsRefusedWithoutExactlyOneProfile(t *testing.T) {
	for list, want := range map[string]string{
		gpuName:               "device 0 has no MIG devices configured",
		gpuName + three + one: "more than one MIG device type present on node",
	} {
		if _, err := read(t, "Enabled", list).Resources(Single); err == nil || err.Error() != want {
			t.Errorf("got error %v, want %q", err, want)
		}
	}
}

func expect(t *testing.T, labels, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got, there := labels[name]; !there && value != "" || got != value {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
}

// The literal values are the tutorial's, but for the driver's.
func TestLabelsByStrategy(t *testing.T) {
	off := read(t, "Disabled", gpuName).Labels(None, "Virtual Machine\n")
	expect(t, off, map[string]string{
		"nvidia.com/gpu.count": "1", "nvidia.com/gpu.replicas": "1", "nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe",
		"nvidia.com/gpu.memory": "81920", "nvidia.com/gpu.family": "ampere", "nvidia.com/gpu.machine": "Virtual-Machine",
		"nvidia.com/gpu.compute.major": "8", "nvidia.com/gpu.compute.minor": "0", "nvidia.com/mig.capable": "true",
		"nvidia.com/mig.strategy": "", "nvidia.com/cuda.driver.major": "580", "nvidia.com/cuda.driver.minor": "159",
		"nvidia.com/cuda.driver.rev": "04", "nvidia.com/cuda.runtime.major": "13", "nvidia.com/cuda.runtime.minor": "0",
	})
	on := read(t, "Enabled", gpuName+one).Labels(None, "")
	expect(t, on, map[string]string{"nvidia.com/gpu.replicas": "0", "nvidia.com/mig.strategy": ""})
	single := read(t, "Enabled", gpuName+one+one).Labels(Single, "")
	expect(t, single, map[string]string{
		"nvidia.com/gpu.count": "2", "nvidia.com/gpu.replicas": "1", "nvidia.com/gpu.memory": "9728",
		"nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe-MIG-1g.10gb", "nvidia.com/gpu.multiprocessors": "14",
		"nvidia.com/gpu.slices.gi": "1", "nvidia.com/gpu.slices.ci": "1", "nvidia.com/gpu.engines.copy": "1",
		"nvidia.com/gpu.engines.decoder": "0", "nvidia.com/mig.strategy": "single",
	})
	invalid := read(t, "Enabled", gpuName+three+one).Labels(Single, "")
	expect(t, invalid, map[string]string{
		"nvidia.com/gpu.count": "0", "nvidia.com/gpu.replicas": "0", "nvidia.com/gpu.memory": "0",
		"nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe-MIG-INVALID",
	})
	mixed := read(t, "Enabled", gpuName+three+extra).Labels(Mixed, "")
	expect(t, mixed, map[string]string{
		"nvidia.com/gpu.count": "1", "nvidia.com/gpu.replicas": "0", "nvidia.com/gpu.product": "NVIDIA-A100-80GB-PCIe",
		"nvidia.com/mig-3g.40gb.memory": "40192", "nvidia.com/mig-3g.40gb.engines.decoder": "2",
		"nvidia.com/mig-3g.40gb.slices.gi": "3", "nvidia.com/mig-3g.40gb.replicas": "1",
		"nvidia.com/mig-1g.10gb.me.product":     "NVIDIA-A100-80GB-PCIe-MIG-1g.10gb.me",
		"nvidia.com/mig-1g.10gb.me.engines.ofa": "1", "nvidia.com/mig-1g.10gb.me.count": "1",
	})
}

func TestCUDAFindsNothingOnAGPUInMIGModeWithoutInstances(t *testing.T) {
	for _, device := range []struct {
		mode, list string
		computes   bool
	}{{"Disabled", gpuName, true}, {"Enabled", gpuName, false}, {"Enabled", gpuName + one, true}} {
		if got := read(t, device.mode, device.list).Computes(); got != device.computes {
			t.Errorf("mode %s, %q: %v", device.mode, device.list, got)
		}
	}
}
