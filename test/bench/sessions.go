package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
)

// sessionGoals are the goals by benchmark.
var sessionGoals = map[string]string{
	"SessionAuthenticate": "≤ 15000 ns",
	"SDKSigner":           "(what the client does)",
}

// sessions runs the Go benchmarks of a signed request: what the server does to believe it,
// beside what the SDK does to sign it.
func sessions(o options, folder string) error {
	fmt.Println("\na request signed with a session: the session opened, SigV4 checked, revocations, role and trust asked for (Go benchmarks)")
	program := filepath.Join(folder, "authn.test")
	if out, err := exec.Command("go", "test", "-c", "-o", program, "./internal/authn").CombinedOutput(); err != nil { //nolint:gosec // G204: our own tests
		return fmt.Errorf("%w: %s", err, out)
	}
	times, allocs := make(map[string][]float64), make(map[string]string)
	for range max(o.rounds, 5) {
		out, err := exec.Command(program, "-test.run", "^$", "-test.bench", "SessionAuthenticate|SDKSigner", "-test.benchmem", "-test.benchtime", "0.3s").CombinedOutput() //nolint:gosec // G204: our own tests
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		for _, match := range benchLine.FindAllStringSubmatch(string(out), -1) {
			value, err := strconv.ParseFloat(match[2], 64)
			if err != nil {
				return err
			}
			times[match[1]], allocs[match[1]] = append(times[match[1]], value), match[3]
		}
	}
	for _, name := range []string{"SessionAuthenticate", "SDKSigner"} {
		row(name, fmt.Sprintf("%.0f ns, %s allocs", median(times[name]), allocs[name]), sessionGoals[name])
	}
	return nil
}
