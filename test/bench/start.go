package main

import (
	"fmt"
	"path/filepath"
	"time"
)

// coldStart prints how long an empty store takes to get ready, and what an idle
// server weighs.
func coldStart(o options, folder string) error {
	fmt.Println("\ncold start on an empty data folder, process start included")
	var ready, resident []float64
	for turn := range max(o.rounds, 5) {
		cs, took, err := startCountersign(o.binary, filepath.Join(folder, fmt.Sprintf("cold-%d", turn)))
		if err != nil {
			return err
		}
		time.Sleep(time.Second) // idle: what the start left behind has settled
		size, err := cs.residentMiB()
		cs.end()
		if err != nil {
			return err
		}
		ready, resident = append(ready, float64(took.Microseconds())/1000), append(resident, size)
	}
	row("ready", fmt.Sprintf("%.0f ms", median(ready)), "≤ 300 ms")
	row("idle resident memory", fmt.Sprintf("%.0f MiB", median(resident)), "≤ 60 MiB")
	return nil
}
