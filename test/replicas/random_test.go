package replicas

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/store/storetest"
)

// workers is how many operations are under way at once.
const workers = 48

// fault is what happens when an operation of a number is due.
type fault struct {
	at   int
	what string
	run  func(*world)
}

// TestRandomOperations: operations that are drawn from a seed, on three replicas whose
// networks, clocks and lives fail by the same seed. Nothing that was revoked is accepted
// after the bound, nothing that is good once twice, nothing that was acknowledged is lost,
// and the audit chains are whole.
func TestRandomOperations(t *testing.T) {
	length := *operations
	switch {
	case length > 0:
	case *full:
		length = 100_000
	case testing.Short():
		t.Skip("takes half a minute")
	default:
		length = 2000
	}
	from := *seed
	if from == 0 {
		from = rand.Uint64()
	}
	t.Logf("random run: -seed %d -operations %d", from, length)
	cluster := storetest.NewCluster(t)
	w := newWorld(t, cluster)
	began := time.Now()
	w.run(from, length, plan(from, length, cluster, t))
	took := time.Since(began)
	w.heal(cluster)
	w.wantWhole()
	for _, problem := range w.m.problems {
		t.Error(problem)
	}
	if t.Failed() {
		t.Logf("replay it with: go test ./test/replicas -run TestRandomOperations -seed %d -operations %d", from, length)
		for _, n := range w.nodes {
			t.Logf("%s: %s", n.name, tail(n.log.String()))
		}
	}
	w.report(from, length, took)
}

func tail(text string) string { return text[max(0, len(text)-4000):] }

func newWorld(t *testing.T, cluster *storetest.Cluster) *world {
	t.Helper()
	w := &world{t: t, m: newModel(t), keys: newSigner(t, "k1")}
	dsn, master := cluster.NewDatabase(t), newMaster(t)
	for i := range 3 {
		n := newNode(t, fmt.Sprint("replica ", i), dsn, master)
		if err := n.start(); err != nil {
			t.Fatal(err)
		}
		n.calm(time.Now())
		w.nodes = append(w.nodes, n)
		w.receivers = append(w.receivers, newReceiver(t, n))
	}
	t.Cleanup(func() {
		for _, n := range w.nodes {
			n.stop(t)
		}
	})
	admin := w.nodes[0].alive().admin
	create := func(name string, audiences ...string) countersign.Secret {
		t.Helper()
		made, err := admin.CreateService(t.Context(), iamclient.CreateService{Name: name, Audiences: audiences})
		if err != nil {
			t.Fatal(err)
		}
		return made.ClientSecret
	}
	w.receiver, w.caller = create("parse-service", "parse-service"), create("session-service", "sts")
	for i := range 24 {
		s := &mortal{name: fmt.Sprint("mortal-", i)}
		s.secret.value = create(s.name, "parse-service")
		w.mortals = append(w.mortals, s)
	}
	for i := range 12 {
		w.numbers = append(w.numbers, &register{name: fmt.Sprint("number-", i)})
	}
	_, err := admin.Apply(t.Context(), iamclient.Apply{Files: []iamclient.File{{Name: "f.yaml", Content: fmt.Sprintf(`
kind: Service
name: signing-service
audiences: [parse-service]
jwks: %s
---
kind: Role
name: writer
trust:
  - service: {names: [session-service]}
permissions:
  - {bucket: documents, prefixes: ["resumes/"], actions: [get_object]}
`, w.keys.jwks)}}})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// plan draws the faults.
func plan(from uint64, length int, cluster *storetest.Cluster, t *testing.T) []fault {
	t.Helper()
	r := rand.New(rand.NewPCG(from, 1))
	var faults []fault
	add := func(at int, what string, run func(*world)) { faults = append(faults, fault{at, what, run}) }
	for at := 400 + r.IntN(300); at < length-300; at += 300 + r.IntN(1800) {
		i, lasts := r.IntN(3), 200+r.IntN(2500)
		if *full && r.IntN(5) == 0 {
			lasts += 9000 // longer than what is known may be used
		}
		end := min(at+lasts, length-200)
		switch r.IntN(8) {
		case 0, 1:
			add(at, fmt.Sprint("cut ", i), func(w *world) { w.nodes[i].trouble(cut, 0) })
			add(end, fmt.Sprint("join ", i), func(w *world) { w.nodes[i].fair(w) })
		case 2:
			add(at, fmt.Sprint("stall ", i), func(w *world) { w.nodes[i].trouble(stalled, 0) })
			add(end, fmt.Sprint("go on ", i), func(w *world) { w.nodes[i].fair(w) })
		case 3:
			delay := time.Duration(5+r.IntN(40)) * time.Millisecond
			add(at, fmt.Sprint("slow ", i), func(w *world) { w.nodes[i].trouble(fair, delay) })
			add(end, fmt.Sprint("fast ", i), func(w *world) { w.nodes[i].fair(w) })
		case 4:
			add(at, fmt.Sprint("kill ", i), func(w *world) { w.nodes[i].kill(t) })
			add(end, fmt.Sprint("start ", i), func(w *world) { w.nodes[i].revive(w) })
		case 5, 6:
			skew := time.Duration(r.Int64N(int64(2*maxSkew))) - maxSkew
			add(at, fmt.Sprint("clock ", i, " ", skew), func(w *world) { w.nodes[i].skew.Store(int64(skew)) })
		case 7:
			add(at, "database stops", func(w *world) { w.trouble(); w.down = true; cluster.Stop(t) })
			add(end, "database starts", func(w *world) { w.databaseBack(cluster) })
		}
	}
	slices.SortStableFunc(faults, func(a, b fault) int { return a.at - b.at })
	return faults
}

// trouble is the network's; the node is not calm until fair.
func (n *node) trouble(state weather, delay time.Duration) {
	n.calm(time.Time{})
	n.net.set(state, delay)
}

func (n *node) fair(w *world) {
	n.net.set(fair, 0)
	w.settle()
}

// revive starts a node that was killed, if its database is there.
func (n *node) revive(w *world) {
	if n.alive() != nil {
		return
	}
	n.net.set(fair, 0)
	if err := n.start(); err != nil {
		if !errors.Is(err, countersign.Unavailable) {
			w.t.Errorf("%s does not start: %v", n.name, err)
		}
		return // the database is away; the end of that, or of the run, starts it
	}
	w.settle()
}

// trouble takes the calm from every node.
func (w *world) trouble() {
	for _, n := range w.nodes {
		n.calm(time.Time{})
	}
}

func (w *world) databaseBack(cluster *storetest.Cluster) {
	if w.down {
		cluster.Start(w.t)
	}
	w.down = false
	w.settle()
}

// settle notes which nodes have nothing wrong with them any more.
func (w *world) settle() {
	for _, n := range w.nodes {
		if w.down || n.alive() == nil || !n.calmFrom().IsZero() {
			continue
		}
		n.net.mu.Lock()
		good := n.net.state == fair && n.net.delay == 0
		n.net.mu.Unlock()
		if good {
			n.calm(time.Now().Add(connected)) // it may take a while to find its database again
		}
	}
}

// run gives the operations out in order; faults happen when their number is due.
func (w *world) run(from uint64, length int, faults []fault) {
	todo := make(chan int)
	var wait sync.WaitGroup
	for range workers {
		wait.Go(func() {
			for n := range todo {
				w.operate(from, n)
			}
		})
	}
	for n := range length {
		for len(faults) > 0 && faults[0].at <= n {
			w.t.Logf("%6d: %s", n, faults[0].what)
			faults[0].run(w)
			faults = faults[1:]
		}
		todo <- n
	}
	close(todo)
	wait.Wait()
	for _, f := range faults {
		f.run(w)
	}
}

// operate is one operation, drawn by its number alone.
func (w *world) operate(from uint64, n int) {
	r := rand.New(rand.NewPCG(from, uint64(n)+2))
	draw := r.IntN(100)
	at := w.nodes[r.IntN(len(w.nodes))]
	l := at.alive()
	if l == nil {
		return
	}
	l.busy.Add(1)
	defer l.busy.Add(-1)
	c := &call{w: w, node: at, life: l, r: r, at: time.Now(), calm: at.calmFrom(), n: n}
	for _, kind := range kinds {
		if draw -= kind.weight; draw < 0 {
			kind.run(c)
			return
		}
	}
}

// heal ends every fault and waits until all three are ready.
func (w *world) heal(cluster *storetest.Cluster) {
	w.databaseBack(cluster)
	for _, n := range w.nodes {
		n.net.set(fair, 0)
		n.skew.Store(0)
		if n.alive() == nil {
			if err := n.start(); err != nil {
				w.t.Fatalf("%s does not start: %v", n.name, err)
			}
		}
	}
	for _, n := range w.nodes {
		eventually(w.t, 60*time.Second, n.name+" is ready and has stored its spool", func() bool {
			response, err := http.Get(n.alive().ops + "/readyz")
			if err != nil {
				return false
			}
			defer func() { _ = response.Body.Close() }()
			var text strings.Builder
			_, _ = fmt.Fprint(&text, response.Status)
			body := make([]byte, 512)
			got, _ := response.Body.Read(body)
			return response.StatusCode == http.StatusOK && !strings.Contains(string(body[:got]), "degraded")
		})
	}
}

// wantWhole checks at the end, at every node: the audit chains, that each token has its event, that
// what was acknowledged is there, and that what is dead is refused.
func (w *world) wantWhole() {
	for _, n := range w.nodes {
		l := n.alive()
		c := &call{w: w, node: n, life: l, at: time.Now(), r: rand.New(rand.NewPCG(1, 1))}
		report, err := l.admin.VerifyAudit(context.Background())
		if err != nil || !report.OK {
			w.t.Errorf("%s: audit verify: %+v, %v", n.name, report, err)
		}
		for _, r := range w.numbers {
			value, err := c.number(r.name)
			if err != nil {
				w.t.Errorf("%s: %v", n.name, err)
				continue
			}
			r.read(w.m, r.ackedNow(), value)
		}
		for _, s := range w.mortals {
			w.wantState(c, s)
		}
	}
	if missing := missingFrom(w.t, w.nodes[0].alive().admin, w.m.issued); len(missing) > 0 {
		w.t.Errorf("%d of %d tokens have no audit event", len(missing), len(w.m.issued))
	}
}

// wantState waits until a node that has its database says of a service what was acknowledged:
// it may still have to hear of it.
func (w *world) wantState(c *call, s *mortal) {
	for deadline := time.Now().Add(connected); ; time.Sleep(5 * time.Millisecond) {
		wrong := w.wrongState(c, s)
		if len(wrong) == 0 {
			return
		}
		c.n++ // another address: who fails often from one is held up there
		if time.Now().After(deadline) {
			w.t.Errorf("%s at %s: %s", s.name, c.node.name, strings.Join(wrong, "; "))
			return
		}
	}
}

func (w *world) wrongState(c *call, s *mortal) (wrong []string) {
	receiver := w.receivers[slices.Index(w.nodes, c.node)]
	s.mu.Lock()
	unknown, disabled, secret := s.unknown, s.disabled, s.secret
	s.mu.Unlock()
	if !unknown {
		stored, err := c.life.admin.Service(context.Background(), s.name)
		if err != nil || stored.Disabled != disabled {
			wrong = append(wrong, fmt.Sprintf("disabled %v, and acknowledged was %v, %v", stored.Disabled, disabled, err))
		}
		got := c.mint(s.name, secret.value, "parse-service")
		if (got != nil) == disabled {
			wrong = append(wrong, fmt.Sprintf("a token %v, disabled %v", got != nil, disabled))
		}
		if got != nil {
			if _, err := receiver.verifier.Verify(context.Background(), got.text); err != nil {
				wrong = append(wrong, fmt.Sprintf("the receiver refuses a new token: %v", err))
			}
		}
	}
	for _, token := range s.all() {
		if token.deadSince().IsZero() {
			continue
		}
		status, body := c.post("/oauth2/introspect", "parse-service", w.receiver, map[string][]string{"token": {token.text}})
		if status != http.StatusOK || strings.Contains(string(body), `"active":true`) {
			wrong = append(wrong, fmt.Sprintf("a token dead by %s: %d %s", token.cause(), status, body))
		}
		if _, err := receiver.verifier.Verify(context.Background(), token.text); err == nil {
			wrong = append(wrong, fmt.Sprintf("the receiver takes a token dead by %s", token.cause()))
		}
	}
	return wrong
}

// report fills the table.
func (w *world) report(from uint64, length int, took time.Duration) {
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	var counts []string
	for what, n := range w.m.count {
		counts = append(counts, fmt.Sprint(what, " ", n))
	}
	slices.Sort(counts)
	w.t.Log(strings.Join(counts, ", "))
	figure(w.t, fmt.Sprintf("random run, seed %d", from), fmt.Sprintf("%d operations, %d s", length, int(took.Seconds())), "no violation")
	figure(w.t, "  accepted after a revocation, replica with its database", "latest "+milliseconds(w.m.lateConnected), "≤ "+connected.String())
	figure(w.t, "  accepted after a revocation, replica without it", "latest "+milliseconds(w.m.lateAnywhere), "≤ "+anywhere.String())
	figure(w.t, "  tokens handed out, each with its audit event", fmt.Sprint(len(w.m.issued)), "none lost")
	figure(w.t, "  single-use values accepted", fmt.Sprint(len(w.m.used)), "none twice")
}
