package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
)

// target says which server a command talks to. Order: --server, COUNTERSIGN_SERVER,
// --data, the default data folder.
type target struct {
	Server string `help:"The server's URL. Default: COUNTERSIGN_SERVER, then the server of the data folder." placeholder:"URL"`
	Data   string `help:"The server's data folder on this machine." placeholder:"FOLDER" type:"path"`
}

const defaultData = "countersign-data"

// folder returns the data folder. What lies in it decides where secrets and tokens go, so
// one that only happens to be in the working directory must be the user's own.
func (t target) folder(p *Process) (string, error) {
	switch {
	case t.Data != "":
		return t.Data, nil
	case p.getenv("COUNTERSIGN_DATA") != "":
		return p.getenv("COUNTERSIGN_DATA"), nil
	}
	info, err := os.Stat(defaultData)
	if err != nil {
		return defaultData, nil //nolint:nilerr // there is no server: who connects says so
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return "", countersign.NewError(countersign.Denied, "",
			"./"+defaultData+" is not yours alone: name the data folder with --data if you trust it")
	}
	return defaultData, nil
}

func (t target) remote(p *Process) string {
	if t.Server != "" {
		return t.Server
	}
	return p.getenv("COUNTERSIGN_SERVER")
}

var errNoServer = countersign.NewError(countersign.Unavailable, "", "no server: start countersign serve")

// admin returns the client of the local administrator.
func (t target) admin(p *Process) (*iamclient.Client, error) {
	if t.remote(p) != "" {
		return nil, countersign.NewError(countersign.Unsupported, "",
			"this version administers on the server's own machine only: leave --server and COUNTERSIGN_SERVER out")
	}
	folder, err := t.folder(p)
	if err != nil {
		return nil, err
	}
	path, err := filepath.Abs(filepath.Join(folder, "admin.sock"))
	if err != nil {
		return nil, fmt.Errorf("find the socket: %w", err)
	}
	return iamclient.New(iamclient.Config{Socket: path})
}

// baseURL returns the URL at which the server's endpoints answer.
func (t target) baseURL(p *Process) (string, error) {
	if remote := t.remote(p); remote != "" {
		return remote, nil
	}
	folder, err := t.folder(p)
	if err != nil {
		return "", err
	}
	body, err := os.ReadFile(filepath.Join(folder, "listen.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", errNoServer
	} else if err != nil {
		return "", countersign.WrapError(countersign.Unavailable, "", "the server's addresses can't be read", err)
	}
	var listen struct{ API, URL string }
	if err := json.Unmarshal(body, &listen); err != nil || listen.API == "" {
		return "", countersign.WrapError(countersign.Invalid, "", "listen.json in the data folder is broken", err)
	}
	if listen.URL != "" {
		return listen.URL, nil
	}
	return "http://" + listen.API, nil
}

// wrote tells on stderr where a write went and as whom.
func wrote(p *Process, client *iamclient.Client, what string) {
	_, _ = fmt.Fprintf(p.Stderr, "%s at %s as local:%d\n", what, client.Where(), os.Geteuid())
}
