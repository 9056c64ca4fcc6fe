// Command rke2 is the main process of rke2-server and rke2-agent, as RKE2's own is: an executable that tells its version
// also while a newer one lies in its place. The package in share/rke2 beside it does the work, as its child.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
)

// Set by the linker.
var version string

func main() {
	if len(os.Args) > 1 && (os.Args[1] == "--version" || os.Args[1] == "-v") {
		fmt.Printf("rke2 version %s (stand-in)\n", version)
		return
	}
	os.Exit(run())
}

func run() int {
	// The child ends with this very thread.
	runtime.LockOSThread()
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rke2:", err)
		return 1
	}
	script := filepath.Join(filepath.Dir(filepath.Dir(self)), "share/rke2/main")
	child := exec.Command("python3", append([]string{script}, os.Args[1:]...)...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stops := make(chan os.Signal, 2)
	signal.Notify(stops, syscall.SIGTERM, syscall.SIGINT)
	if err := child.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "rke2:", err)
		return 1
	}
	go func() {
		for stop := range stops {
			_ = child.Process.Signal(stop)
		}
	}()
	var ended *exec.ExitError
	switch err := child.Wait(); {
	case errors.As(err, &ended):
		return max(ended.ExitCode(), 1)
	case err != nil:
		fmt.Fprintln(os.Stderr, "rke2:", err)
		return 1
	}
	return 0
}
