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
// --data, COUNTERSIGN_DATA, the context, the default data folder. The context is that of
// --context, COUNTERSIGN_CONTEXT or `countersign context use`; whoever names one beside
// a server that would win is told so, since the write would go elsewhere.
type target struct {
	Server  string `help:"The server's URL. Default: COUNTERSIGN_SERVER, then the server of the data folder." placeholder:"URL"`
	Data    string `help:"The server's data folder on this machine." placeholder:"FOLDER" type:"path"`
	Context string `help:"The server of that name, as set by countersign context. Default: COUNTERSIGN_CONTEXT, then the one in use." placeholder:"NAME"`
}

const defaultData = "countersign-data"

// place is where a server is: at a URL, or in a data folder that was named or found by
// default.
type place struct {
	url, folder string
	byDefault   bool
	// context is the name of the context that says so; "" = none.
	context string
}

// place decides which server is meant.
//
// Errors: usageError, countersign.NotFound (no such context), Invalid, Denied.
func (t target) place(p *Process) (place, error) {
	server, data := p.getenv("COUNTERSIGN_SERVER"), p.getenv("COUNTERSIGN_DATA")
	if t.Context != "" {
		for name, value := range map[string]string{"--server": t.Server, "--data": t.Data, "COUNTERSIGN_SERVER": server, "COUNTERSIGN_DATA": data} {
			if value != "" {
				return place{}, usageError{"--context and " + name + " contradict each other"}
			}
		}
	}
	switch {
	case t.Server != "":
		return place{url: t.Server}, nil
	case server != "":
		return place{url: server}, nil
	case t.Data != "":
		return place{folder: t.Data}, nil
	case data != "":
		return place{folder: data}, nil
	}
	chosen, name, err := contextInUse(p, t.Context)
	if err != nil || name != "" {
		return place{url: chosen.Server, folder: chosen.Data, context: name}, err
	}
	return place{folder: defaultData, byDefault: true}, nil
}

// check: what lies in the data folder decides where secrets and tokens go, so one that
// only happens to be in the working directory must be the user's own.
func (at place) check() error {
	if !at.byDefault {
		return nil
	}
	info, err := os.Stat(at.folder)
	if err != nil {
		return nil //nolint:nilerr // there is no server: who connects says so
	}
	if !ownAlone(info) {
		return countersign.NewError(countersign.Denied, "",
			"./"+at.folder+" is not yours alone: name the data folder with --data if you trust it")
	}
	return nil
}

// ownAlone reports whether nobody but this user can have written it.
func ownAlone(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid() && info.Mode().Perm()&0o022 == 0
}

var errNoServer = countersign.NewError(countersign.Unavailable, "", "no server: start countersign serve")

// admin returns the client of the local administrator, or of who administers from here a
// server elsewhere.
func (t target) admin(p *Process) (*iamclient.Client, error) {
	at, err := t.place(p)
	if err != nil {
		return nil, err
	}
	if at.url != "" {
		return t.remote(p, at)
	}
	if err := at.check(); err != nil {
		return nil, err
	}
	path, err := filepath.Abs(filepath.Join(at.folder, "admin.sock"))
	if err != nil {
		return nil, fmt.Errorf("find the socket: %w", err)
	}
	return iamclient.New(iamclient.Config{Socket: path})
}

// baseURL returns the URL at which the server's endpoints answer.
func (t target) baseURL(p *Process) (string, error) {
	at, err := t.place(p)
	if err != nil || at.url != "" {
		return at.url, err
	}
	if err := at.check(); err != nil {
		return "", err
	}
	body, err := os.ReadFile(filepath.Join(at.folder, "listen.json"))
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
	as := client.As()
	if as == "" {
		as = fmt.Sprintf("local:%d", os.Geteuid())
	}
	_, _ = fmt.Fprintf(p.Stderr, "%s at %s as %s\n", what, client.Where(), as)
}
