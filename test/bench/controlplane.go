package main

import (
	"fmt"
	"os/exec"
	"strconv"
)

// controlPlane runs the Go benchmarks of what is decided and changed by documents.
func controlPlane(o options, _ string) error {
	fmt.Println("\ndocuments and policies (Go benchmarks)")
	for _, b := range []struct{ what, pkg, bench, time, goal string }{
		{"apply of 10,000 documents, first", "./internal/admin", "Apply10000/first", "1x", "≤ 10 s"},
		{"apply of 10,000 documents, again", "./internal/admin", "Apply10000/again", "1x", "≤ 10 s"},
		{"a decision by a policy of 10,000 rules", "./routepolicy", "Decide10000Rules", "0.3s", "≤ 5000 ns"},
	} {
		var times []float64
		allocs := ""
		for range o.rounds {
			out, err := exec.Command("go", "test", "-run", "^$", "-bench", b.bench, "-benchmem", "-benchtime", b.time, b.pkg).CombinedOutput() //nolint:gosec // G204: our own tests
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			match := benchLine.FindSubmatch(out)
			if match == nil {
				return fmt.Errorf("no result of %s: %s", b.bench, out)
			}
			value, err := strconv.ParseFloat(string(match[2]), 64)
			if err != nil {
				return err
			}
			times, allocs = append(times, value), string(match[3])
		}
		figure := fmt.Sprintf("%.0f ns, %s allocs", median(times), allocs)
		if median(times) > 1e8 {
			figure = fmt.Sprintf("%.2f s", median(times)/1e9)
		}
		row(b.what, figure, b.goal)
	}
	return nil
}
