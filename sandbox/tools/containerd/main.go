// containerd with what a sandbox's machine needs of it, and ctr: the name the program is called by picks one of them.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/cmd/containerd/command"
	"github.com/containerd/containerd/v2/cmd/ctr/app"
)

func main() {
	run := command.App().Run
	name := filepath.Base(os.Args[0])
	if name == "ctr" {
		run = app.New().Run
	}
	if err := run(os.Args); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %s\n", name, err)
		os.Exit(1)
	}
}
