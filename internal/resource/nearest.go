package resource

import "strings"

// nearest returns the candidate that differs least from name, "" when none is near.
func nearest(name string, candidates []string) string {
	const longest = 100 // of a word that could be meant at all
	if len(name) > longest {
		return ""
	}
	name = plainWord(name)
	best, bestDistance := "", 1+max(2, len(name)/4)
	for _, candidate := range candidates {
		if d := distance(name, plainWord(candidate)); d < bestDistance && d < len(candidate) {
			best, bestDistance = candidate, d
		}
	}
	return best
}

// plainWord makes tokenLifetime and token-lifetime equal to token_lifetime.
func plainWord(word string) string {
	return strings.NewReplacer("_", "", "-", "").Replace(strings.ToLower(word))
}

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
