package routepolicy

import (
	"fmt"
	"io"
	"os"

	"github.com/countersign/countersign"
)

// FromFile compiles the policies of a service in a file of route policies; those of other
// services are read and left out. It fails when the file has none for the service. The
// file is read once: call it again to have its changes.
//
// Errors: countersign.NotFound when there is no such file or no policy in it,
// countersign.Unavailable when it can't be read, [*Error] as [Parse] and [Compile].
func FromFile(path, service string) (*Policy, error) {
	text, err := readFile(path, MaxFileBytes+1)
	if err != nil {
		return nil, err
	}
	documents, err := parse(path, text)
	if err != nil {
		return nil, err
	}
	own := documents[:0:0]
	for _, d := range documents {
		if d.Service == service {
			own = append(own, d)
		}
	}
	if len(own) == 0 {
		return nil, countersign.NewError(countersign.NotFound, countersign.ReasonObjectUnknown,
			"the file has no route policy for the service")
	}
	return Compile(own)
}

// readFile reads at most limit bytes of a file.
func readFile(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		code := countersign.Unavailable
		if os.IsNotExist(err) {
			code = countersign.NotFound
		}
		return nil, countersign.WrapError(code, countersign.ReasonPolicyUnavailable, "the file can't be opened", err)
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, limit))
	if err != nil {
		return nil, countersign.WrapError(countersign.Unavailable, countersign.ReasonPolicyUnavailable, "the file can't be read",
			fmt.Errorf("read a route policy: %w", err))
	}
	return text, nil
}
