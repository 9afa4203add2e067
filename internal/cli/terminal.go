package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"
)

// IsTerminal reports whether file is a terminal or another character device. One that
// gives no answer, like /dev/null, is a no to every question.
func IsTerminal(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 256

// confirm asks a question on the terminal; anything but yes is a no. Without a terminal
// nobody is asked, and the answer is no.
func confirm(p *Process, question string) bool {
	if !p.Terminal {
		return false
	}
	_, _ = fmt.Fprintf(p.Stderr, "%s [yes/no] ", question)
	answer, _ := bufio.NewReader(io.LimitReader(p.Stdin, maxAnswer)).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	}
	return false
}
