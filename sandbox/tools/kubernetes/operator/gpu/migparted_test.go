package gpu

import (
	"reflect"
	"strings"
	"testing"
)

const configuration = `version: v1
mig-configs:
  all-disabled:
  - devices: all
    mig-enabled: false
  mig-k8s-a100:
  - devices: [0]
    mig-enabled: true
    mig-devices: {3g.40gb: 1, 1g.10gb: 2, 2g.20gb: 1}
  - devices: [1]
    mig-enabled: false
`

var capable = []GPU{{Index: 0, MIGCapable: true}, {Index: 1, MIGCapable: true}, {Index: 2}}

func TestAConfigurationNamesInstancesInItsOwnOrder(t *testing.T) {
	layouts, err := ParseMIGParted(configuration, "mig-k8s-a100", capable)
	wanted := []Layout{{0, true, []string{"3g.40gb", "1g.10gb", "1g.10gb", "2g.20gb"}}, {1, false, nil}}
	if err != nil || !reflect.DeepEqual(layouts, wanted) {
		t.Errorf("seen %v, %v", layouts, err)
	}
}

func TestAllMeansEveryGPUThatHasMIG(t *testing.T) {
	for _, text := range []string{configuration, Generated} {
		layouts, err := ParseMIGParted(text, "all-disabled", capable)
		if err != nil || !reflect.DeepEqual(layouts, []Layout{{0, false, nil}, {1, false, nil}}) {
			t.Errorf("seen %v, %v", layouts, err)
		}
	}
}

func TestAConfigurationThatIsNoneIsRefusedInWords(t *testing.T) {
	for text, words := range map[string]string{
		"version: v1\nmig-configs: {}\n": `has no mig-configs entry "x"`,
		"version: v2\n":                  `has version "v2", expected v1`,
		"version: v1\nmig-config: {}\n":  "field mig-config not found",
		"version: v1\nmig-configs: {x: [{devices: [0], mig-enabled: true, mig-devices: {1g.10gb: many}}]}\n": `1g.10gb: "many" is not a number of instances`,
	} {
		if _, err := ParseMIGParted(text, "x", capable); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("%q: seen %v, wanted %q", text, err, words)
		}
	}
}

func TestALayoutIsThereWhenTheNumbersOfEachProfileAre(t *testing.T) {
	layout := Layout{0, true, []string{"1g.10gb", "3g.40gb", "1g.10gb"}}
	having := func(profiles ...string) *Inventory {
		device := GPU{Index: 0}
		for _, profile := range profiles {
			device.MIGDevices = append(device.MIGDevices, MIGDevice{Profile: profile})
		}
		return &Inventory{GPUs: []GPU{device, {Index: 1, MIGDevices: []MIGDevice{{Profile: "7g.80gb"}}}}}
	}
	if !layout.HasInstances(having("3g.40gb", "1g.10gb", "1g.10gb")) {
		t.Error("the same instances in another order are not recognised")
	}
	if layout.HasInstances(having("3g.40gb", "1g.10gb")) || layout.HasInstances(having("3g.40gb", "3g.40gb", "1g.10gb")) {
		t.Error("other instances are taken for the layout's")
	}
}
