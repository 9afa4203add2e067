package cli

import (
	"fmt"
	"strings"
)

// diffContext is how many equal lines stand around a change; maxDiffCells bounds the
// table that is filled for two texts. Larger ones are told as replaced as a whole.
const (
	diffContext  = 3
	maxDiffCells = 4 << 20
)

// lineDiff returns what turns before into after as a unified diff without its two head
// lines; "" when they are equal. Before and after end with a line break or are empty.
func lineDiff(before, after string) string {
	a, b := splitLines(before), splitLines(after)
	edits := editLines(a, b)
	var out strings.Builder
	for start := 0; start < len(edits); {
		if edits[start].mark == ' ' {
			start++
			continue
		}
		// A hunk goes on while no more than two contexts of equal lines part its changes.
		last := start
		for i := start; i < len(edits) && i-last <= 2*diffContext+1; i++ {
			if edits[i].mark != ' ' {
				last = i
			}
		}
		writeHunk(&out, edits[max(0, start-diffContext):min(len(edits), last+diffContext+1)])
		start = last + 1
	}
	return out.String()
}

// edit is one line of a diff: ' ' equal, '-' taken out, '+' put in, with the number of
// lines of either text that come before it.
type edit struct {
	mark         byte
	text         string
	oldAt, newAt int
}

func writeHunk(out *strings.Builder, hunk []edit) {
	var removed, added int
	for _, e := range hunk {
		if e.mark != '+' {
			removed++
		}
		if e.mark != '-' {
			added++
		}
	}
	fmt.Fprintf(out, "@@ -%s +%s @@\n", hunkRange(hunk[0].oldAt, removed), hunkRange(hunk[0].newAt, added))
	for _, e := range hunk {
		fmt.Fprintf(out, "%c%s\n", e.mark, e.text)
	}
}

// hunkRange counts lines from 1; an empty range names the line before it.
func hunkRange(at, count int) string {
	if count > 0 {
		at++
	}
	return fmt.Sprintf("%d,%d", at, count)
}

// editLines finds a shortest edit by the longest common subsequence: common[i][j] is its
// length for a[i:] and b[j:].
func editLines(a, b []string) []edit {
	exact := (len(a)+1)*(len(b)+1) <= maxDiffCells
	common := make([][]int, len(a)+1)
	for i := len(a); exact && i >= 0; i-- {
		common[i] = make([]int, len(b)+1)
		for j := len(b) - 1; j >= 0 && i < len(a); j-- {
			if common[i][j] = max(common[i+1][j], common[i][j+1]); a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	var edits []edit
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case exact && i < len(a) && j < len(b) && a[i] == b[j]:
			edits = append(edits, edit{' ', a[i], i, j})
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || !exact || common[i+1][j] >= common[i][j+1]):
			edits = append(edits, edit{'-', a[i], i, j})
			i++
		default:
			edits = append(edits, edit{'+', b[j], i, j})
			j++
		}
	}
	return edits
}

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
