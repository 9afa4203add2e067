//go:build unix

package egress

import (
	"errors"
	"syscall"
)

const canTellQuiet = true

// isQuiet reports whether a connection is open and has nothing to read.
func isQuiet(raw syscall.RawConn) (quiet bool) {
	err := raw.Read(func(fd uintptr) bool {
		var one [1]byte
		_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = errors.Is(err, syscall.EAGAIN)
		return true
	})
	return err == nil && quiet
}
