package config

import (
	"fmt"
	"strings"

	"github.com/countersign/countersign"
)

// unknownKey names the known key that is nearest, if one is near.
func unknownKey(at, path string) error {
	text := fmt.Sprintf("%s: unknown key %q", at, clip(path))
	var known []string
	for _, k := range keyTable {
		known = append(known, k.path)
		for section := k.path; ; {
			cut := strings.LastIndexByte(section, '.')
			if cut < 0 {
				break
			}
			section = section[:cut]
			known = append(known, section)
		}
	}
	if near := nearest(path, known); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	}
	return invalid(countersign.ReasonFieldUnknown, text)
}

// clip bounds what an error repeats.
func clip(text string) string {
	const limit = 100
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// nearest returns the candidate that differs least from name, "" when none is near. A
// key that only stands in the wrong section counts as one letter off.
func nearest(name string, candidates []string) string {
	name = strings.ToLower(clip(name))
	best, bestDistance := "", 1+max(2, len(name)/4)
	for _, candidate := range candidates {
		lower := strings.ToLower(candidate)
		d := min(distance(name, lower), 1+distance(last(name), last(lower)))
		if d < bestDistance {
			best, bestDistance = candidate, d
		}
	}
	return best
}

func last(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// distance is the number of letters to insert, remove or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
