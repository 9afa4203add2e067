// Command bench prints the table of `make bench`: the token endpoint against its
// physical limit and its fastest peer, the STS against its physical limit, token verification against the raw signature
// check, start and memory. Everything that is compared runs in turns in the same run,
// and the ratios are taken turn by turn: machines are noisy, ratios less so.
//
// It needs wrk, node and the folder with oidc-provider installed; scripts/bench.sh
// sees to that. Load stays on loopback and is bounded by -seconds and -rounds.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
)

type options struct {
	binary, floor, peer, only, rows, versity string
	seconds, rounds, services                int
}

func main() {
	var o options
	flag.StringVar(&o.binary, "countersign", "./countersign", "the release build")
	flag.StringVar(&o.floor, "floor", "", "the floor program")
	flag.StringVar(&o.peer, "oidc-provider", "", "the folder with oidc-provider installed; empty = without it")
	flag.StringVar(&o.only, "only", "", "one part: tokens, sts, sessions, aws, verify, start, agent, control, postgres, revocation, gateway or million")
	flag.StringVar(&o.rows, "rows", "", "with -only gateway: the rows whose name has this text; empty = all")
	flag.StringVar(&o.versity, "versitygw", "", "the S3 server that is the gateway's origin")
	flag.IntVar(&o.seconds, "seconds", 4, "length of one measurement")
	flag.IntVar(&o.services, "services", 1_000_000, "how many services are many")
	flag.IntVar(&o.rounds, "rounds", 3, "turns; the median is printed")
	flag.Parse()
	folder, err := os.MkdirTemp("", "countersign-bench-")
	if err != nil {
		log.Fatal(err)
	}
	err = run(o, folder)
	_ = os.RemoveAll(folder)
	if err != nil {
		log.Fatal(err)
	}
}

func run(o options, folder string) error {
	fmt.Println("Medians of", o.rounds, "turns of", o.seconds, "s; ratios turn by turn. Goals are those of the design.")
	for _, part := range []struct {
		name string
		run  func(o options, folder string) error
	}{
		{"tokens", tokenEndpoint}, {"sts", webIdentity}, {"sessions", sessions}, {"aws", awsIdentity}, {"verify", verification}, {"start", coldStart}, {"agent", agentMemory}, {"control", controlPlane},
		{"postgres", tokensOnPostgres}, {"revocation", revocationReach}, {"gateway", gateway}, {"million", millionServices},
	} {
		if o.only != "" && o.only != part.name {
			continue
		}
		if err := part.run(o, folder); err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return nil
}

// row prints one line of the table.
func row(what, figure, goal string) { fmt.Printf("  %-44s %34s   %s\n", what, figure, goal) }
