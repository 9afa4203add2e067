package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

var benchLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([0-9.]+) ns/op(?:.*?\s([0-9]+) allocs/op)?`)

// rawCheck is the benchmark of the bare signature check.
const rawCheck = "RawES256Verify"

// verifyGoals are the goals by benchmark.
var verifyGoals = map[string]string{
	"VerifySeenBefore":   "≤ 1000 ns, 0 allocs",
	"VerifyFirstSight":   "≤ 1.15 × the raw check",
	"SeenBefore/service": "≤ 1500 ns, ≤ 2 allocs",
}

// verification runs the Go benchmarks of verify and middleware, all of them once a
// turn, and prints medians and the ratio to the raw signature check of the same turn.
func verification(o options, folder string) error {
	fmt.Println("\ntoken verification, ES256 (Go benchmarks; the ratio is to the bare signature check)")
	times, ratios := make(map[string][]float64), make(map[string][]float64)
	allocs, order := make(map[string]string), []string{}
	var programs []string
	for _, name := range []string{"verify", "middleware"} {
		program := filepath.Join(folder, name+".test")
		if out, err := exec.Command("go", "test", "-c", "-o", program, "./"+name).CombinedOutput(); err != nil { //nolint:gosec // G204: our own tests
			return fmt.Errorf("%w: %s", err, out)
		}
		programs = append(programs, program)
	}
	for range max(o.rounds, 5) {
		turn := make(map[string]float64)
		for _, program := range programs {
			out, err := exec.Command(program, "-test.run", "^$", "-test.bench", "Verify|SeenBefore", "-test.benchmem", "-test.benchtime", "0.3s").CombinedOutput() //nolint:gosec // G204: our own tests
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			for _, match := range benchLine.FindAllStringSubmatch(string(out), -1) {
				value, err := strconv.ParseFloat(match[2], 64)
				if err != nil {
					return err
				}
				if times[match[1]] == nil {
					order = append(order, match[1])
				}
				times[match[1]], turn[match[1]] = append(times[match[1]], value), value
				allocs[match[1]] = match[3]
			}
		}
		for name, value := range turn {
			ratios[name] = append(ratios[name], value/turn[rawCheck])
		}
	}
	for _, name := range order {
		figure := fmt.Sprintf("%.0f ns, %s allocs", median(times[name]), allocs[name])
		if ratio := median(ratios[name]); ratio > 0.5 && name != rawCheck {
			figure = fmt.Sprintf("%.2f × raw, %s", ratio, figure)
		}
		row(strings.TrimPrefix(name, "Benchmark"), figure, verifyGoals[name])
	}
	return nil
}
