package iamclient

import (
	"context"
	"io"
	"net/http"

	"github.com/countersign/countersign"
)

// Backup writes a backup of the server's database to w, of any length. What w has after an
// error is no backup; whether it is whole after none package backup tells.
//
// Errors: as [Client].
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	r, err := c.request(ctx, call{method: http.MethodGet, path: "/admin/backup"})
	if err != nil {
		return err
	}
	response, err := c.http.Do(r)
	if err != nil {
		return c.noAnswer(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		if err != nil {
			return c.noAnswer(err)
		}
		return decodeError(response, body)
	}
	kept := &keptError{w: w}
	if _, err := io.Copy(kept, response.Body); err != nil {
		if kept.err != nil {
			return countersign.WrapError(countersign.Unavailable, "", "the backup can't be written", kept.err)
		}
		return countersign.WrapError(countersign.Unavailable, "", "the backup broke off", err)
	}
	return nil
}

// keptError tells an error of the writer from one of the reader.
type keptError struct {
	w   io.Writer
	err error
}

// Write implements io.Writer.
func (k *keptError) Write(b []byte) (int, error) {
	n, err := k.w.Write(b)
	k.err = err
	return n, err
}
