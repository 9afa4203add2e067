package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
)

var benchLine = regexp.MustCompile(`(?m)^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+([0-9.]+) ns/op(?:.*?\s([0-9]+) allocs/op)?`)

// verification runs the Go benchmarks of verify and middleware and prints their
// medians beside the raw signature check.
func verification() error {
	fmt.Println("\ntoken verification, ES256 (Go benchmarks, medians of 5)")
	command := exec.Command("go", "test", "-run", "^$", "-bench", "Verify|Middleware|SeenBefore|Raw", "-benchmem", "-count", "5", "-benchtime", "0.3s", "./verify", "./middleware")
	out, err := command.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	times, allocs, order := make(map[string][]float64), make(map[string]string), []string{}
	for _, match := range benchLine.FindAllStringSubmatch(string(out), -1) {
		value, err := strconv.ParseFloat(match[2], 64)
		if err != nil {
			return err
		}
		if times[match[1]] == nil {
			order = append(order, match[1])
		}
		times[match[1]] = append(times[match[1]], value)
		allocs[match[1]] = match[3]
	}
	raw := median(times["RawES256Verify"])
	for _, name := range order {
		t := median(times[name])
		ratio := ""
		if raw > 0 && t > raw/2 && !strings.HasPrefix(name, "Raw") {
			ratio = fmt.Sprintf("%.2f × the raw check", t/raw)
		}
		row(name, fmt.Sprintf("%.0f ns, %s allocs", t, allocs[name]), strings.TrimSpace(ratio+" "+verifyGoals[name]))
	}
	return nil
}

// verifyGoals are the goals by benchmark.
var verifyGoals = map[string]string{
	"VerifySeenBefore":     "(≤ 1000 ns, 0 allocs)",
	"VerifyFirstSight":     "(≤ 1.15 ×)",
	"MiddlewareSeenBefore": "(≤ 1500 ns, ≤ 2 allocs)",
}
