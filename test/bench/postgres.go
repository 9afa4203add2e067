package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
)

// postgresBin is where Debian puts the programs of PostgreSQL 15.
const postgresBin = "/usr/lib/postgresql/15/bin/"

// cluster is a PostgreSQL that was started here, with its defaults: fsync is on.
type cluster struct {
	data, socket string
	port         int
}

// startCluster makes and starts one. PostgreSQL does not run as root; it is run as the
// user postgres then.
func startCluster(folder string) (*cluster, error) {
	c := &cluster{data: filepath.Join(folder, "data"), socket: folder}
	if err := os.MkdirAll(folder, 0o755); err != nil { //nolint:gosec // G301: its user has to get there
		return nil, err
	}
	if os.Getuid() == 0 {
		for path := folder; len(path) > len(os.TempDir()); path = filepath.Dir(path) {
			if err := os.Chmod(path, 0o755); err != nil { //nolint:gosec // G302: as above
				return nil, err
			}
		}
		if out, err := exec.Command("chown", "postgres", folder).CombinedOutput(); err != nil { //nolint:gosec // G204: our own folder
			return nil, fmt.Errorf("chown: %w: %s", err, out)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c.port = listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	if err := c.run("initdb", "-N", "-A", "trust", "-U", "countersign", "-D", c.data); err != nil {
		return nil, err
	}
	options := fmt.Sprintf("-c port=%d -c listen_addresses=127.0.0.1 -c unix_socket_directories=%s", c.port, c.socket)
	return c, c.run("pg_ctl", "-w", "-D", c.data, "-l", filepath.Join(folder, "log"), "-o", options, "start")
}

func (c *cluster) run(program string, args ...string) error {
	args = append([]string{postgresBin + program}, args...)
	if os.Getuid() == 0 {
		args = append([]string{"runuser", "-u", "postgres", "--"}, args...)
	}
	command := exec.Command(args[0], args[1:]...) //nolint:gosec // G204: PostgreSQL's own programs
	command.Dir = "/"
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return nil
}

func (c *cluster) end() { _ = c.run("pg_ctl", "-m", "fast", "-D", c.data, "stop") }

// environ is what a replica needs to use the cluster. All replicas get the same key.
func (c *cluster) environ(folder string) ([]string, error) {
	master := filepath.Join(folder, "master.key")
	if _, err := os.Stat(master); err != nil {
		var key [32]byte
		_, _ = rand.Read(key[:])
		if err := os.WriteFile(master, []byte(base64.StdEncoding.EncodeToString(key[:])+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	return []string{
		"COUNTERSIGN_STORE=postgres://countersign@127.0.0.1:" + strconv.Itoa(c.port) + "/postgres?sslmode=disable",
		"COUNTERSIGN_KEYS_MASTER_FILE=" + master, "COUNTERSIGN_ISSUER=http://127.0.0.1:8440",
	}, nil
}

// tokensOnPostgres compares the token endpoint on PostgreSQL with that on SQLite.
func tokensOnPostgres(o options, folder string) error {
	fmt.Println("\nclient_credentials on PostgreSQL 15 beside SQLite, fsync on for both")
	db, err := startCluster(filepath.Join(folder, "cluster"))
	if err != nil {
		return err
	}
	defer db.end()
	environ, err := db.environ(folder)
	if err != nil {
		return err
	}
	var subjects []subject
	for _, on := range []struct {
		name    string
		environ []string
	}{{"countersign", environ}, {"on SQLite", nil}} {
		c, _, err := startCountersign(o.binary, filepath.Join(folder, "store-"+strconv.Itoa(len(subjects))), on.environ...)
		if err != nil {
			return err
		}
		defer c.end()
		if err := c.register(o.binary); err != nil {
			return err
		}
		subjects = append(subjects, subject{name: on.name, url: c.url + "/oauth2/token", secret: c.secret})
	}
	for _, connections := range []int{16, 64} {
		if err := compare(o, folder, subjects, connections, map[string]string{"on SQLite 64": "≥ 0.80"}); err != nil {
			return err
		}
	}
	return nil
}
