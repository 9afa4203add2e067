package replicas

import (
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"
)

// network is what lies between one replica and the database: a proxy that can be cut, hold
// everything back, or be slow.
type network struct {
	listener net.Listener
	target   string

	mu    sync.Mutex
	moved *sync.Cond // state or closed changed
	state weather
	delay time.Duration
	ended bool
	links map[net.Conn]struct{}
	wait  sync.WaitGroup
}

type weather int

const (
	fair    weather = iota
	cut             // connections break, and new ones are refused
	stalled         // connections stay, and nothing goes through
)

// newNetwork puts a proxy before the database of dsn, and returns the DSN that leads through it.
func newNetwork(t *testing.T, dsn string) (*network, string) {
	t.Helper()
	at, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{listener: listener, target: at.Host, links: map[net.Conn]struct{}{}}
	n.moved = sync.NewCond(&n.mu)
	n.wait.Go(n.accept)
	t.Cleanup(n.end)
	at.Host = listener.Addr().String()
	return n, at.String()
}

func (n *network) end() {
	n.mu.Lock()
	n.ended = true
	n.breakLinks()
	n.mu.Unlock()
	_ = n.listener.Close()
	n.wait.Wait()
}

// set changes the weather.
func (n *network) set(state weather, delay time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.state, n.delay = state, delay
	if state == cut {
		n.breakLinks()
	}
	n.moved.Broadcast()
}

// breakLinks is for who holds mu.
func (n *network) breakLinks() {
	for link := range n.links {
		if tcp, ok := link.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, as from a host that is gone
		}
		_ = link.Close()
	}
	clear(n.links)
	n.moved.Broadcast()
}

func (n *network) accept() {
	for {
		client, err := n.listener.Accept()
		if err != nil {
			return
		}
		n.wait.Go(func() { n.join(client) })
	}
}

// join connects a client with the database, until either is gone.
func (n *network) join(client net.Conn) {
	if !n.keep(client) {
		return
	}
	defer n.drop(client)
	server, err := net.DialTimeout("tcp", n.target, 5*time.Second)
	if err != nil || !n.keep(server) {
		return
	}
	defer n.drop(server)
	done := make(chan struct{})
	go func() { defer close(done); n.pass(server, client) }()
	n.pass(client, server)
	<-done
}

func (n *network) keep(link net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended || n.state == cut {
		_ = link.Close()
		return false
	}
	n.links[link] = struct{}{}
	return true
}

func (n *network) drop(link net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.links, link)
	_ = link.Close()
	n.moved.Broadcast()
}

func (n *network) pass(to, from net.Conn) {
	defer func() { _ = to.Close(); _ = from.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		got, err := from.Read(buffer)
		if got > 0 && n.hold(from) {
			if _, err := to.Write(buffer[:got]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// hold waits for the weather and reports whether the connection is still there.
func (n *network) hold(link net.Conn) bool {
	n.mu.Lock()
	for n.state == stalled && !n.ended {
		if _, there := n.links[link]; !there {
			break
		}
		n.moved.Wait()
	}
	_, there := n.links[link]
	delay := n.delay
	n.mu.Unlock()
	if delay > 0 {
		time.Sleep(delay/2 + rand.N(delay)) // the network takes its time
	}
	return there
}
