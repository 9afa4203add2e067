package cli

import (
	"bufio"
	"context"
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

// confirm asks a question on the terminal; anything but yes is a no, and so is the end of
// ctx. Without a terminal nobody is asked, and the answer is no.
func confirm(ctx context.Context, p *Process, question string) bool {
	if !p.Terminal {
		return false
	}
	_, _ = fmt.Fprintf(p.Stderr, "%s [yes/no] ", question)
	// A read of a terminal can't be broken off. After Ctrl-C the reader ends with the
	// program, which does nothing else any more.
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(io.LimitReader(p.Stdin, maxAnswer)).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case word := <-answer:
		return ctx.Err() == nil && (word == "y" || word == "yes")
	case <-ctx.Done():
		_, _ = fmt.Fprintln(p.Stderr)
		return false
	}
}
