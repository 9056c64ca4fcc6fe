package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"mig-k8s/sandbox/gpu/driver"
)

// listInstanceProfiles is `mig -lgip`; it answers with MIG mode off too.
func (s *session) listInstanceProfiles(migCall) int {
	name, indent, ruler := 14, 63, "+-------------------------------------------------------------------------------+\n"
	if s.wide() {
		s.lines(ruler + `| GPU instance profiles:                                                        |
| GPU   Name               ID    Instances   Memory     P2P    SM    DEC   ENC  |
|                                Free/Total   GiB              CE    JPEG  OFA  |
|===============================================================================|
`)
	} else {
		name, indent, ruler = 12, 61, "+-----------------------------------------------------------------------------+\n"
		s.lines(ruler + `| GPU instance profiles:                                                      |
| GPU   Name             ID    Instances   Memory     P2P    SM    DEC   ENC  |
|                              Free/Total   GiB              CE    JPEG  OFA  |
|=============================================================================|
`)
	}
	for _, device := range s.devices {
		for _, p := range device.Model.Known(s.Branch) {
			free := device.Model.Free(device.State.Instances, p)
			gib := fmt.Sprintf("%.2f", float64(p.MiB.At(s.Branch))/1024)
			fmt.Fprintf(s.out, "|%4d  MIG %-*s%4d %5d/%d        %-11sNo     %-7d%d%6d   |\n",
				device.Index, name, p.Name, p.ID, free, p.Max, gib, p.SM, p.DEC, p.ENC)
			fmt.Fprintf(s.out, "|%*d%6d%6d   |\n%s", indent+1, p.CE, p.JPEG, p.OFA, ruler)
		}
	}
	return 0
}

// listPlacements is `mig -lgipp`: every placement there is, taken or not.
func (s *session) listPlacements(migCall) int {
	for _, device := range s.devices {
		for _, profile := range device.Model.Known(s.Branch) {
			word, starts := "Placement ", make([]string, len(profile.Starts))
			if len(starts) > 1 {
				word = "Placements"
			}
			for i, start := range profile.Starts {
				starts[i] = strconv.Itoa(start)
			}
			fmt.Fprintf(s.out, "GPU %2d Profile ID %2d %s: {%s}:%d\n",
				device.Index, profile.ID, word, strings.Join(starts, ","), profile.Memory)
		}
	}
	return 0
}

// listInstances is `mig -lgi`.
func (s *session) listInstances(migCall) int {
	return s.display("GPU instances", func(enabled []driver.Device) int {
		name, ruler := 16, "+---------------------------------------------------------+\n"
		header := ruler + `| GPU instances:                                          |
| GPU   Name               Profile  Instance   Placement  |
|                            ID       ID       Start:Size |
|=========================================================|
`
		if !s.wide() {
			name, ruler = 14, "+-------------------------------------------------------+\n"
			header = ruler + `| GPU instances:                                        |
| GPU   Name             Profile  Instance   Placement  |
|                          ID       ID       Start:Size |
|=======================================================|
`
		}
		rows := 0
		for _, device := range enabled {
			for _, instance := range device.Model.InListOrder(device.State.Instances) {
				if rows++; rows == 1 {
					s.lines(header)
				}
				profile := device.Model.ProfileByID(instance.Profile)
				fmt.Fprintf(s.out, "|%4d  MIG %-*s%4d%9d%11d:%d     |\n%s",
					device.Index, name, profile.Name, profile.ID, instance.ID, instance.Start, profile.Memory, ruler)
			}
		}
		return rows
	})
}

// listComputeInstances is `mig -lci`.
func (s *session) listComputeInstances(options migCall) int {
	return s.display("compute instances", func(enabled []driver.Device) int {
		rows := 0
		for _, device := range enabled {
			for _, instance := range chosen(device, options.instances) {
				profile := device.Model.ProfileByID(instance.Profile)
				for _, compute := range instance.Compute {
					if rows++; rows == 1 {
						s.lines(`
+--------------------------------------------------------------------+
| Compute instances:                                                 |
| GPU     GPU       Name             Profile   Instance   Placement  |
|       Instance                       ID        ID       Start:Size |
|         ID                                                         |
|====================================================================|
`)
					}
					part := device.Model.ComputeProfileByID(profile, compute.Profile)
					fmt.Fprintf(s.out, "|%4d%7d       MIG %-14s%4d%10d%11d:%d     |\n%s",
						device.Index, instance.ID, part.Name, part.ID, compute.ID, compute.Start, part.Slices,
						"+--------------------------------------------------------------------+\n")
				}
			}
		}
		return rows
	})
}

// listComputeProfiles is `mig -lcip`; a star marks the profile that fills the GPU instance.
func (s *session) listComputeProfiles(options migCall) int {
	return s.display("GPU instances", func(enabled []driver.Device) int {
		const ruler = "+--------------------------------------------------------------------------------------+\n"
		rows := 0
		for _, device := range enabled {
			for _, instance := range chosen(device, options.instances) {
				profile := device.Model.ProfileByID(instance.Profile)
				for _, part := range device.Model.ComputeProfiles(profile) {
					if rows++; rows == 1 {
						s.lines(ruler + `| Compute instance profiles:                                                           |
| GPU     GPU       Name             Profile  Instances   Exclusive       Shared       |
|       Instance                       ID     Free/Total     SM       DEC   ENC   OFA  |
|         ID                                                          CE    JPEG       |
|======================================================================================|
`)
					}
					star := " "
					if part.Slices == profile.Compute {
						star = "*"
					}
					fmt.Fprintf(s.out, "|%4d%7d       MIG %-14s%4d%s%6d/%d%13d%9d%6d%6d   |\n|%71d%6d         |\n%s",
						device.Index, instance.ID, part.Name, part.ID, star, device.Model.FreeCompute(instance, part), part.Total, part.SM,
						profile.DEC, profile.ENC, profile.OFA, profile.CE, profile.JPEG, ruler)
				}
			}
		}
		return rows
	})
}

// display runs a listing of what exists; print returns how many rows it had.
func (s *session) display(what string, print func(enabled []driver.Device) int) int {
	enabled := s.migEnabled()
	if len(enabled) == 0 {
		fmt.Fprint(s.out, noMIGEnabledText)
		return 0
	}
	if !driver.Privileged() {
		fmt.Fprintf(s.out, "Failed to display %s: %v\n", what, driver.InsufficientPermissions)
		return int(driver.InsufficientPermissions)
	}
	if print(enabled) == 0 {
		fmt.Fprintf(s.out, "No %s found: %v\n", what, driver.NotFound)
		return int(driver.NotFound)
	}
	return 0
}

// chosen are the GPU instances that -gi names, or all of them, in list order.
func chosen(device driver.Device, ids []string) []driver.GPUInstance {
	return slices.DeleteFunc(device.Model.InListOrder(device.State.Instances), func(instance driver.GPUInstance) bool {
		return ids != nil && !slices.Contains(ids, strconv.Itoa(instance.ID))
	})
}
