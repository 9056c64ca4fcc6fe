package driver

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Major numbers: NVIDIA's own is fixed, the others are what the kernel of the captured H100 had given out.
const (
	majorNvidia       = 195
	majorUVM          = 238
	majorCapabilities = 241
)

const (
	controlMinor = 255
	forAnybody   = 0o666
)

// DeviceFile is a device file of the driver, its path below /dev.
type DeviceFile struct {
	Path         string
	Major, Minor int
	Mode         fs.FileMode
}

func (gpu GPU) deviceFile() DeviceFile {
	return DeviceFile{fmt.Sprintf("nvidia%d", gpu.Index), majorNvidia, gpu.Index, forAnybody}
}

// controlFiles are there as long as the driver is loaded, whatever GPUs there are.
func controlFiles() []DeviceFile {
	return []DeviceFile{
		{"nvidiactl", majorNvidia, controlMinor, forAnybody},
		{"nvidia-uvm", majorUVM, 0, forAnybody},
		{"nvidia-uvm-tools", majorUVM, 1, forAnybody},
		configCapability.deviceFile(),
		monitorCapability.deviceFile(),
	}
}

// deviceFolder has the device files that this process can open. "" has none and hides nothing: a fake GPU of tests
// that are not root, which names GPU_VOLATILE alone.
func deviceFolder() string {
	if folder := os.Getenv("GPU_DEV"); folder != "" {
		return folder
	}
	if os.Getenv("GPU_VOLATILE") != "" {
		return ""
	}
	return "/dev"
}

// has tells whether this process was given a device file: in a container only those that it was started with.
func has(file DeviceFile) bool {
	folder := deviceFolder()
	if folder == "" {
		return true
	}
	_, err := os.Stat(filepath.Join(folder, file.Path))
	return err == nil
}

// Confined tells whether this process may not change MIG: a container that was not given the capability to do so.
func Confined() bool { return !has(configCapability.deviceFile()) }

// makeDeviceFiles lets the driver's device files be these and no others.
func makeDeviceFiles(wanted []DeviceFile) error {
	folder := deviceFolder()
	if folder == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(folder, capabilitiesFolder), 0o755); err != nil {
		return err
	}
	keep := map[string]bool{}
	for _, file := range wanted {
		path := filepath.Join(folder, file.Path)
		keep[path] = true
		if err := file.make(path); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("cannot make the device file %s: %w", path, err)
		}
	}
	for _, pattern := range []string{"nvidia[0-9]*", capabilitiesFolder + "/nvidia-cap*"} {
		found, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil {
			return err
		}
		for _, path := range found {
			if keep[path] {
				continue
			}
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// make makes a character device; below GPU_DEV, which is a test's, an empty file takes its place.
func (file DeviceFile) make(path string) error {
	if os.Getenv("GPU_DEV") != "" {
		return os.WriteFile(path, nil, file.Mode)
	}
	number := file.Minor&0xff | file.Major<<8 | (file.Minor&^0xff)<<12 // as Linux writes the two in one
	if err := syscall.Mknod(path, syscall.S_IFCHR|uint32(file.Mode), number); err != nil {
		return err
	}
	return os.Chmod(path, file.Mode) // whatever the umask is
}

// removeDeviceFiles takes all of them away, as when the driver is unloaded.
func removeDeviceFiles() error {
	folder := deviceFolder()
	if folder == "" {
		return nil
	}
	if err := makeDeviceFiles(nil); err != nil {
		return err
	}
	for _, file := range controlFiles() {
		if err := os.Remove(filepath.Join(folder, file.Path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Remove(filepath.Join(folder, capabilitiesFolder))
}

// UsedBy are the UUIDs of the devices that these device files, by their paths below /dev, open: MIG devices where a
// GPU has them, GPUs where it has none. Whoever has the capability to change MIG uses none by having it.
func UsedBy(files []string) ([]string, error) {
	given := func(file DeviceFile) bool { return slices.Contains(files, file.Path) }
	if given(configCapability.deviceFile()) {
		return nil, nil
	}
	gpus, err := ReadGPUs()
	if err != nil {
		return nil, err
	}
	state, err := readState()
	if err != nil {
		return nil, err
	}
	var used []string
	for _, gpu := range gpus {
		if !given(gpu.deviceFile()) {
			continue
		}
		if !state.of(gpu).Mode {
			used = append(used, gpu.UUID)
		}
		for _, instance := range state.of(gpu).Instances {
			for _, compute := range instance.Compute {
				if given(computeCapability(gpu, instance.ID, compute.ID).deviceFile()) {
					used = append(used, migUUID(gpu.UUID, instance.ID, compute.ID))
				}
			}
		}
	}
	return used, nil
}
