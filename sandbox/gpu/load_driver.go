package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"mig-k8s/sandbox/gpu/driver"
)

// modulesDirectory has the kernel modules that packages brought, by kernel release; a module of ours is a text: the
// driver's version and the module's kind, open or proprietary.
func modulesDirectory() string { return cmp.Or(os.Getenv("GPU_MODULES"), "/usr/lib/modules") }

// loadDriver is what modprobe runs for the module nvidia: `load-driver --kernel RELEASE` loads the module that is
// installed for this kernel, `load-driver [VERSION [KIND]]` this very one, and `load-driver --unload` is `modprobe -r`. A
// driver that is loaded already stays as it is.
func loadDriver(arguments []string) int {
	if err := changeDriver(arguments); err != nil {
		fmt.Fprintf(os.Stderr, "modprobe: %v\n", err)
		return 1
	}
	return 0
}

func changeDriver(arguments []string) error {
	if len(arguments) > 2 {
		return fmt.Errorf("load-driver takes --kernel RELEASE, VERSION KIND or --unload; got %q", arguments)
	}
	if len(arguments) == 1 && arguments[0] == "--unload" {
		return driver.Change(driver.Unload)
	}
	return driver.Change(func() error { return load(arguments) })
}

func load(arguments []string) error {
	if loaded, err := driver.LoadedVersion(); err != nil || loaded != "" {
		return err
	}
	version, kind := driver.StandardVersion, "proprietary"
	switch {
	case len(arguments) == 2 && arguments[0] == "--kernel":
		var err error
		if version, kind, err = installedModule(arguments[1]); err != nil {
			return err
		}
	case len(arguments) > 0:
		version = arguments[0]
		if len(arguments) == 2 {
			kind = arguments[1]
		}
	}
	if err := driver.Load(version, kind); err != nil {
		return fmt.Errorf("ERROR: could not insert 'nvidia': %w", err)
	}
	return nil
}

// installedModule is version and kind of the module that a package brought for this kernel.
func installedModule(release string) (version, kind string, err error) {
	found, err := filepath.Glob(filepath.Join(modulesDirectory(), release, "kernel/nvidia-*/nvidia.ko"))
	if err != nil {
		return "", "", err
	}
	if len(found) == 0 {
		return "", "", fmt.Errorf("FATAL: Module nvidia not found in directory /lib/modules/%s", release)
	}
	content, err := os.ReadFile(found[0])
	if err != nil {
		return "", "", err
	}
	words := strings.Fields(string(content))
	if len(words) != 2 {
		return "", "", fmt.Errorf("FATAL: %s is not a module: %q", found[0], content)
	}
	return words[0], words[1], nil
}
