package cli

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// dropProgramPages gives back the pages of the program's own file that are in memory: most
// were needed at the start alone, and the kernel brings back what is needed again from its
// cache. A mapping of which anything was ever changed in memory is left alone, since the
// file does not hold that. What can't be done is left undone: it only costs memory.
func dropProgramPages() {
	program, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer func() { _ = maps.Close() }()
	var start, end uint64 // of the mapping whose lines are read; 0 = one to leave alone
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) >= 5 && strings.Contains(fields[0], "-"):
			start, end = programMapping(fields, program)
		case len(fields) == 3 && fields[0] == "Anonymous:" && fields[1] == "0" && start < end:
			_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, uintptr(start), uintptr(end-start), syscall.MADV_DONTNEED)
		}
	}
}

// programMapping reads the first line of a mapping:
//
//	00400000-01f8f000 r-xp 00000000 fd:01 12345 /usr/bin/countersign
func programMapping(fields []string, program string) (start, end uint64) {
	if len(fields) != 6 || fields[5] != program || fields[1] != "r-xp" && fields[1] != "r--p" {
		return 0, 0
	}
	from, to, _ := strings.Cut(fields[0], "-")
	start, err1 := strconv.ParseUint(from, 16, 64)
	end, err2 := strconv.ParseUint(to, 16, 64)
	if err1 != nil || err2 != nil {
		return 0, 0
	}
	return start, end
}
