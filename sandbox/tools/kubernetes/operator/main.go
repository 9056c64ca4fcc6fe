// A stand-in of NVIDIA's GPU Operator and of the operands it deploys, for machines whose nvidia-smi is a stand-in too.
// The first argument says which of them this process is.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

var roles = map[string]func(context.Context) error{
	"gpu-operator":          runOperator,
	"nfd-worker":            runNodeFeatureDiscovery,
	"nvidia-device-plugin":  runDevicePlugin,
	"gpu-feature-discovery": runFeatureDiscovery,
	"nvidia-mig-manager":    runMIGManager,
	"validate-driver":       validateDriver,
	"validate-cuda":         validateCUDA,
	"validate-plugin":       validatePlugin,
	"wait-until-terminated": waitUntilTerminated,
}

func main() {
	log.SetFlags(log.Ltime | log.Lmsgprefix)
	if len(os.Args) != 2 || roles[os.Args[1]] == nil {
		fmt.Fprintf(os.Stderr, "usage: %s gpu-operator | nfd-worker | nvidia-device-plugin | gpu-feature-discovery | "+
			"nvidia-mig-manager | validate-driver | validate-cuda | validate-plugin | wait-until-terminated\nseen: %s\n", os.Args[0], strings.Join(os.Args[1:], " "))
		os.Exit(2)
	}
	log.SetPrefix(os.Args[1] + ": ")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := roles[os.Args[1]](ctx); err != nil && ctx.Err() == nil {
		log.Fatalf("error: %v", err)
	}
}

func waitUntilTerminated(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
