package gpu

import (
	"slices"
	"testing"
)

const fourPods = "version: v1\nsharing: {timeSlicing: {resources: [{name: nvidia.com/mig-1g.10gb, replicas: 4}]}}\n"

func TestSharedDevicesAreAdvertisedOncePerReplica(t *testing.T) {
	for text, name := range map[string]string{
		fourPods: "nvidia.com/mig-1g.10gb",
		"sharing: {timeSlicing: {renameByDefault: true, resources: [{name: mig-1g.10gb, replicas: 4}]}}": "nvidia.com/mig-1g.10gb.shared",
	} {
		sharing, err := ParseSharing(text)
		if err != nil {
			t.Fatal(err)
		}
		there, err := read(t, "Enabled", gpuName+three+one).Resources(Mixed)
		if err != nil {
			t.Fatal(err)
		}
		shared := sharing.Share(there)
		device := "MIG-ab3c9061-ac9b-5f7c-801a-8d35188a6422"
		if want := []string{device + "::0", device + "::1", device + "::2", device + "::3"}; !slices.Equal(shared[name], want) {
			t.Errorf("%s: got %v, want %v", name, shared, want)
		}
		if len(shared) != 2 || len(shared["nvidia.com/mig-3g.40gb"]) != 1 || UUID(shared[name][2]) != device {
			t.Errorf("got %v", shared)
		}
	}
}

func TestLabelsOfSharedDevices(t *testing.T) {
	sharing, err := ParseSharing(fourPods)
	if err != nil {
		t.Fatal(err)
	}
	labels := read(t, "Enabled", gpuName+three+one).Labels(Mixed, "")
	sharing.Describe(labels)
	expect(t, labels, map[string]string{
		"nvidia.com/mig-1g.10gb.replicas": "4", "nvidia.com/mig-1g.10gb.count": "1",
		"nvidia.com/mig-1g.10gb.product":  "NVIDIA-A100-80GB-PCIe-MIG-1g.10gb-SHARED",
		"nvidia.com/mig-3g.40gb.replicas": "1", "nvidia.com/gpu.replicas": "0",
		"nvidia.com/mig-3g.40gb.product": "NVIDIA-A100-80GB-PCIe-MIG-3g.40gb",
	})
}

func TestAConfigurationIsRefusedAsThePluginRefusesIt(t *testing.T) {
	for text, want := range map[string]string{
		"sharing: {timeSlicing: {}}":                                      "no resources specified",
		"sharing: {timeSlicing: {resources: [{replicas: 2}]}}":            "no resource name specified",
		"sharing: {timeSlicing: {resources: [{name: gpu}]}}":              "number of replicas must be >= 1",
		"version: v2\nsharing: {timeSlicing: {resources: [{name: gpu}]}}": "unknown version: v2",
	} {
		if _, err := ParseSharing(text); err == nil || err.Error() != want {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	for _, text := range []string{"", "version: v1\n", "{}"} {
		if sharing, err := ParseSharing(text); sharing != nil || err != nil {
			t.Errorf("%q: got %v, %v", text, sharing, err)
		}
	}
}
