//go:build !linux

package cli

// dropProgramPages is for Linux.
func dropProgramPages() {}
