package main

import (
	"fmt"
	"strings"
	"time"

	"mig-k8s/sandbox/gpu/driver"
)

// wideBranch is the first driver branch whose tables have the layout captured on R580; the tutorial's R515 has another.
const wideBranch = 580

func (s *session) wide() bool { return s.Branch >= wideBranch }

func (s *session) lines(text string) { fmt.Fprint(s.out, strings.TrimPrefix(text, "\n")) }

// table is plain `nvidia-smi`.
func (s *session) table() int {
	fmt.Fprintf(s.out, "%s       \n", time.Now().Format("Mon Jan _2 15:04:05 2006"))
	if s.wide() {
		s.wideGPUs()
	} else {
		s.narrowGPUs()
	}
	if len(s.migEnabled()) > 0 {
		s.migTable()
	}
	s.processes()
	return 0
}

func (s *session) wideGPUs() {
	s.lines(`
+-----------------------------------------------------------------------------------------+
`)
	fmt.Fprintf(s.out, "| NVIDIA-SMI %-23sDriver Version: %-15sCUDA Version: %-9s|\n", s.Version, s.Version, s.CUDA())
	s.lines(`
+-----------------------------------------+------------------------+----------------------+
| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |
| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |
|                                         |                        |               MIG M. |
|=========================================+========================+======================|
`)
	for _, device := range s.devices {
		ecc, use, mode := columns(device)
		fmt.Fprintf(s.out, "|%4d  %-31s%-4s|%19s Off |%21s |\n",
			device.Index, cut(device.Name, 27), onOff(device.PersistenceMode()), device.PCIBusID, ecc)
		fmt.Fprintf(s.out, "| N/A%5dC    P0%15dW /%5dW |%8dMiB /%7dMiB |%8s      Default |\n",
			device.Temperature(), device.Power(), device.Model.PowerLimitWatt, device.UsedMiB, device.Model.MemoryMiB, use)
		fmt.Fprintf(s.out, "|%40s |%23s |%21s |\n", "", "", mode)
		s.lines(`
+-----------------------------------------+------------------------+----------------------+
`)
	}
}

func (s *session) narrowGPUs() {
	s.lines(`
+-----------------------------------------------------------------------------+
`)
	fmt.Fprintf(s.out, "| NVIDIA-SMI %-13sDriver Version: %-13sCUDA Version: %-9s|\n", s.Version, s.Version, s.CUDA())
	s.lines(`
|-------------------------------+----------------------+----------------------+
| GPU  Name        Persistence-M| Bus-Id        Disp.A | Volatile Uncorr. ECC |
| Fan  Temp  Perf  Pwr:Usage/Cap|         Memory-Usage | GPU-Util  Compute M. |
|                               |                      |               MIG M. |
|===============================+======================+======================|
`)
	for _, device := range s.devices {
		ecc, use, mode := columns(device)
		fmt.Fprintf(s.out, "|%4d  %-20s%-5s|%17s Off |%21s |\n",
			device.Index, cut(device.Name, 18), onOff(device.PersistenceMode()), device.PCIBusID, ecc)
		fmt.Fprintf(s.out, "| N/A%5dC    P0%6dW /%4dW |%7dMiB /%6dMiB |%8s      Default |\n",
			device.Temperature(), device.Power(), device.Model.PowerLimitWatt, device.UsedMiB, device.Model.MemoryMiB, use)
		fmt.Fprintf(s.out, "|%30s |%21s |%21s |\n", "", "", mode)
		s.lines(`
+-------------------------------+----------------------+----------------------+
`)
	}
}

// columns are the texts for ECC errors, utilisation and MIG mode.
func columns(device driver.Device) (ecc, use, mode string) {
	if device.State.Mode {
		return "On", "N/A", "Enabled"
	}
	return "0", "0%", "Disabled"
}

func onOff(on bool) string {
	if on {
		return "On"
	}
	return "Off"
}

// cut shortens a name to width columns the way nvidia-smi does.
func cut(name string, width int) string {
	if len(name) > width {
		return name[:width-3] + "..."
	}
	return name
}

func (s *session) migTable() {
	row := "|%3d%5d%4d%4d  |%19s / %8s    |%3d%7d |%3d%4d%5d%5d%5d |\n" +
		"|                  |%19s / %8s    |           |                       |\n"
	ruler := "+------------------+----------------------------------+-----------+-----------------------+\n"
	if s.wide() {
		s.lines(`

+-----------------------------------------------------------------------------------------+
| MIG devices:                                                                            |
+------------------+----------------------------------+-----------+-----------------------+
| GPU  GI  CI  MIG |              Shared Memory-Usage |        Vol|        Shared         |
|      ID  ID  Dev |                Shared BAR1-Usage | SM     Unc| CE ENC  DEC  OFA  JPG |
|                  |                                  |        ECC|                       |
|==================+==================================+===========+=======================|
`)
	} else {
		row = strings.ReplaceAll(row, "|%19s / %8s    |", "|%10s / %8s |")
		ruler = "+------------------+----------------------+-----------+-----------------------+\n"
		s.lines(`

+-----------------------------------------------------------------------------+
| MIG devices:                                                                |
+------------------+----------------------+-----------+-----------------------+
| GPU  GI  CI  MIG |         Memory-Usage |        Vol|         Shared        |
|      ID  ID  Dev |           BAR1-Usage | SM     Unc| CE  ENC  DEC  OFA  JPG|
|                  |                      |        ECC|                       |
|==================+======================+===========+=======================|
`)
	}
	empty := true
	for _, device := range s.devices {
		for number, mig := range device.MIGDevices() {
			empty = false
			p := mig.Profile
			fmt.Fprintf(s.out, row, device.Index, mig.Instance.ID, mig.Compute.ID, number,
				"0MiB", mib(p.MiB.At(s.Branch)), mig.Slices.SM, 0, p.CE, p.ENC, p.DEC, p.OFA, p.JPEG,
				"0MiB", mib(device.BAR1MiB(s.Branch, mig)))
			fmt.Fprint(s.out, ruler)
		}
	}
	if empty {
		width := len(ruler) - len("++\n")
		fmt.Fprintf(s.out, "|%-*s|\n+%s+\n", width, "  No MIG devices found", strings.Repeat("-", width))
	}
}

func mib(value int) string { return fmt.Sprintf("%dMiB", value) }

// processes never has any: nothing computes on these GPUs.
func (s *session) processes() {
	if s.wide() {
		s.lines(`

+-----------------------------------------------------------------------------------------+
| Processes:                                                                              |
|  GPU   GI   CI              PID   Type   Process name                        GPU Memory |
|        ID   ID                                                               Usage      |
|=========================================================================================|
|  No running processes found                                                             |
+-----------------------------------------------------------------------------------------+
`)
		return
	}
	fmt.Fprintf(s.out, "%79s\n", "")
	s.lines(`
+-----------------------------------------------------------------------------+
| Processes:                                                                  |
|  GPU   GI   CI        PID   Type   Process name                  GPU Memory |
|        ID   ID                                                   Usage      |
|=============================================================================|
`)
	if !s.hiddenProcesses() {
		s.lines("|  No running processes found                                                 |\n")
	}
	s.lines("+-----------------------------------------------------------------------------+\n")
}

// hiddenProcesses is so in a container where others use the GPU's memory: there, nvidia-smi shows no process and does
// not say that there are none (the tutorial's job log).
func (s *session) hiddenProcesses() bool {
	if !driver.Confined() {
		return false
	}
	for _, device := range s.devices {
		if device.UsedMiB > 0 {
			return true
		}
	}
	return false
}
