package admin

import (
	"sync"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
)

// ownerConfig is the owner of what the files of the server's configuration say. It is no
// name, so that nobody else can take it.
const ownerConfig = "config:resources"

// configured is what the files of the configuration name since this process was started.
type configured struct {
	mu    sync.Mutex
	named map[[2]string]bool // kind and name
}

func (c *configured) add(documents []resource.Document) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.named == nil {
		c.named = make(map[[2]string]bool, len(documents))
	}
	for i := range documents {
		c.named[[2]string{documents[i].Kind, documents[i].Name}] = true
	}
}

func (c *configured) has(kind, name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.named[[2]string{kind, name}]
}

// notOfConfig refuses to change what a file of the server's configuration says.
func notOfConfig(owner string) error {
	if owner != ownerConfig {
		return nil
	}
	return countersign.NewError(countersign.Denied, countersign.ReasonResourceReadOnly,
		"it comes from a file of the server's configuration: change it there")
}

// mayDropConfig is notOfConfig for a deletion. What no file names any more has nowhere else to
// be taken away: a role that was written out of the configuration would be good for ever. Who
// may do it is who writes the configuration, or as good as: another replica's files may name it.
func (a *Admin) mayDropConfig(actor Actor, kind, name, owner string) error {
	if owner == ownerConfig && actor.SuperAdmin && !a.configured.has(kind, name) {
		return nil
	}
	return notOfConfig(owner)
}
