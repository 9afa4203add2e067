package replicas

import (
	"flag"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// What `make faults` sets; without them everything is short.
var (
	full       = flag.Bool("full", false, "run the fault tests at full length")
	seed       = flag.Uint64("seed", 0, "replay the random run of this seed; 0 = a new one")
	operations = flag.Int("operations", 0, "length of the random run; 0 = 100,000 with -full, else 2,000")
)

// figures is the table at the end.
var figures struct {
	mu   sync.Mutex
	rows []string
}

// figure adds a line to the table.
func figure(t *testing.T, what, value, goal string) {
	t.Helper()
	line := fmt.Sprintf("  %-58s %26s   %s", what, value, goal)
	t.Log(line)
	figures.mu.Lock()
	defer figures.mu.Unlock()
	figures.rows = append(figures.rows, line)
}

func printFigures() {
	if !*full || len(figures.rows) == 0 {
		return
	}
	fmt.Println("\nfaults: figures")
	for _, row := range figures.rows {
		fmt.Println(row)
	}
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// percentile returns the p-th of some times.
func percentile(times []time.Duration, p int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[(len(sorted)-1)*p/100]
}
