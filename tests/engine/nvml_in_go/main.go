// Command nvml-in-go says in JSON what NVIDIA's own Go code makes of the GPUs: `devices` as go-nvlib sees them through
// libnvidia-ml.so.1, `mocks` as go-nvml's mocks have them in tables.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

func main() {
	questions := map[string]func() (any, error){"devices": devices, "mocks": mocks}
	if len(os.Args) != 2 || questions[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "nvml-in-go: say devices or mocks")
		os.Exit(2)
	}
	answer, err := questions[os.Args[1]]()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "nvml-in-go:", err)
		os.Exit(1)
	}
}
