package storetest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Cluster is a PostgreSQL server for tests alone, on 127.0.0.1, with its data in a
// temp folder. Safe for concurrent use, except for Stop and Start.
//
// The server belongs to a shell that reads from this process: when this process ends,
// in whatever way, the shell stops the server and removes the folder.
type Cluster struct {
	dir  string
	port int

	keeper *exec.Cmd      // nil while stopped
	orders io.WriteCloser // to the keeper
}

// Locked is a user that no password lets in; every other needs none.
const Locked = "locked"

// postgresFolders are where programs of PostgreSQL lie, in order of preference.
var postgresFolders = []string{"/usr/lib/postgresql/15/bin", "/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin"}

// keep starts a server and ends it when its input ends or says how.
const keep = `
"$1/pg_ctl" -D "$2/data" -l "$2/log" -w -t 30 -o "$3" start </dev/null >"$2/start" 2>&1 || { cat "$2/start" "$2/log"; exit 1; }
echo ready
read -r how
"$1/pg_ctl" -D "$2/data" -m "${how:-immediate}" -w -t 30 stop </dev/null >/dev/null 2>&1
[ -n "$how" ] || rm -rf "$2"
`

var (
	sharedOnce    sync.Once
	sharedCluster *Cluster
	errShared     error
)

// Postgres returns the cluster that all tests of this process share. It is started at
// the first call and ends with the process. A machine without PostgreSQL fails the test.
func Postgres(tb testing.TB) *Cluster {
	tb.Helper()
	sharedOnce.Do(func() { sharedCluster, errShared = newCluster() })
	if errShared != nil {
		tb.Fatal(errShared)
	}
	return sharedCluster
}

// NewCluster returns a cluster of the test's own, which may stop it. It ends with the
// test.
func NewCluster(tb testing.TB) *Cluster {
	tb.Helper()
	c, err := newCluster()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.stop("immediate"); err != nil {
			tb.Error(err)
		}
		if err := os.RemoveAll(c.dir); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// Stop ends the server as a crash would: its clients get no farewell. It does nothing
// while the server is stopped.
func (c *Cluster) Stop(tb testing.TB) {
	tb.Helper()
	if err := c.stop("immediate"); err != nil {
		tb.Fatal(err)
	}
}

// Start starts the server again, on the same port and with the same data.
func (c *Cluster) Start(tb testing.TB) {
	tb.Helper()
	if err := c.start(); err != nil {
		tb.Fatal(err)
	}
}

// Freeze makes the server's processes stand still, as a host that is gone does: it
// accepts connections and answers nothing. It returns what ends that.
func (c *Cluster) Freeze(tb testing.TB) (thaw func()) {
	tb.Helper()
	pids, err := c.processes()
	if err != nil {
		tb.Fatal(err)
	}
	signal := func(s syscall.Signal) {
		for _, pid := range pids {
			_ = syscall.Kill(pid, s) // one may have ended
		}
	}
	signal(syscall.SIGSTOP)
	thaw = sync.OnceFunc(func() { signal(syscall.SIGCONT) })
	tb.Cleanup(thaw)
	return thaw
}

// processes returns the ids of the server and of its children, the server's first.
func (c *Cluster) processes() ([]int, error) {
	file, err := os.Open(filepath.Join(c.dir, "data", "postmaster.pid"))
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // only read
	lines := bufio.NewScanner(file)
	lines.Scan()
	server, err := strconv.Atoi(strings.TrimSpace(lines.Text()))
	if err != nil {
		return nil, err
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", server, server))
	if err != nil {
		return nil, err
	}
	pids := []int{server}
	for _, field := range strings.Fields(string(children)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return nil, err
		}
		pids = append(pids, pid)
	}
	return pids, nil
}

var databases atomic.Int64

// NewDatabase makes an empty database and returns its DSN. It is dropped with the test.
func (c *Cluster) NewDatabase(tb testing.TB) (dsn string) {
	tb.Helper()
	name := fmt.Sprintf("test_%d", databases.Add(1))
	if err := c.execute(tb.Context(), "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if c.keeper == nil {
			return
		}
		if err := c.execute(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
	return c.dsn(name)
}

// PatientDatabase is NewDatabase for a test that makes no outage: a server that is slow to answer,
// because the machine is busy, is waited for.
func (c *Cluster) PatientDatabase(tb testing.TB) (dsn string) {
	tb.Helper()
	return fmt.Sprintf("%s&connect_timeout=%d", c.NewDatabase(tb), Patience/time.Second)
}

func (c *Cluster) dsn(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", c.port, database)
}

func (c *Cluster) execute(ctx context.Context, statement string) (err error) {
	conn, err := pgx.Connect(ctx, c.dsn("postgres"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	_, err = conn.Exec(ctx, statement)
	return err
}

func newCluster() (*Cluster, error) {
	bin, err := postgresFolder()
	if err != nil {
		return nil, err
	}
	who, err := postgresUser()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "countersign-pg-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir}
	if err := c.init(bin, who); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	// Somebody else may take the port before the server does.
	for range 3 {
		if c.port, err = freePort(); err == nil {
			err = c.start()
		}
		if err == nil {
			return c, nil
		}
	}
	return nil, errors.Join(err, os.RemoveAll(dir))
}

func (c *Cluster) init(bin string, who *syscall.Credential) error {
	if who != nil {
		if err := os.Chown(c.dir, int(who.Uid), int(who.Gid)); err != nil {
			return err
		}
	}
	initdb := c.command(who, filepath.Join(bin, "initdb"), "-D", filepath.Join(c.dir, "data"),
		"-N", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	rules := filepath.Join(c.dir, "data", "pg_hba.conf")
	trust, err := os.ReadFile(rules)
	if err != nil {
		return err
	}
	return os.WriteFile(rules, append([]byte("host all "+Locked+" 127.0.0.1/32 scram-sha-256\n"), trust...), 0o600) //nolint:gosec // G703: a folder that we made
}

// command runs a program as the user that may run PostgreSQL, away from our terminal's
// signals.
func (c *Cluster) command(who *syscall.Credential, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...) //nolint:gosec // paths of this package
	cmd.Dir = c.dir
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=" + c.dir}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: who}
	return cmd
}

func (c *Cluster) start() error {
	bin, err := postgresFolder()
	if err != nil {
		return err
	}
	who, err := postgresUser()
	if err != nil {
		return err
	}
	// A test's data need not survive the machine: no fsync.
	settings := fmt.Sprintf("-p %d -h 127.0.0.1 -k %s -c fsync=off -c full_page_writes=off -c max_connections=400 -c shared_buffers=16MB",
		c.port, c.dir)
	keeper := c.command(who, "/bin/sh", "-c", keep, "keep", bin, c.dir, settings)
	orders, err := keeper.StdinPipe()
	if err != nil {
		return err
	}
	out, err := keeper.StdoutPipe()
	if err != nil {
		return err
	}
	if err := keeper.Start(); err != nil {
		return err
	}
	lines := bufio.NewReader(out)
	if line, err := lines.ReadString('\n'); err != nil || line != "ready\n" {
		rest, _ := io.ReadAll(lines)
		return errors.Join(fmt.Errorf("PostgreSQL does not start: %s%s", line, rest), keeper.Wait())
	}
	c.keeper, c.orders = keeper, orders
	return nil
}

func (c *Cluster) stop(how string) error {
	if c.keeper == nil {
		return nil
	}
	_, err := io.WriteString(c.orders, how+"\n")
	err = errors.Join(err, c.orders.Close(), c.keeper.Wait())
	c.keeper = nil
	return err
}

func postgresFolder() (string, error) {
	for _, pattern := range postgresFolders {
		found, _ := filepath.Glob(filepath.Join(pattern, "initdb"))
		if len(found) > 0 {
			return filepath.Dir(found[len(found)-1]), nil
		}
	}
	return "", errors.New("there is no PostgreSQL on this machine: run `make test` once, or install Debian's postgresql-15")
}

// postgresUser returns whom PostgreSQL runs as; nil = who we are. It refuses root.
func postgresUser() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("root may not run PostgreSQL, and there is nobody else: install Debian's postgresql-15: %w", err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// freePort returns a port on which nobody listens just now.
func freePort() (int, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("no TCP address")
	}
	return address.Port, listener.Close()
}
