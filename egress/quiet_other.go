//go:build !unix

package egress

import "syscall"

const canTellQuiet = false

func isQuiet(syscall.RawConn) bool { return false }
