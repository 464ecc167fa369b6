package config

// farthest is how many edits a name may be away from the one that was meant.
const farthest = 2

// nearest is the known name that is the fewest edits away from s, empty when none is near; the first of equals.
func nearest(s string, known []string) string {
	best, bestDistance := "", farthest+1
	for _, k := range known {
		// A short name is within two edits of any other: at most half of it may differ.
		if d := distance(s, k); d < bestDistance && 2*d <= max(len(s), len(k)) {
			best, bestDistance = k, d
		}
	}
	return best
}

// distance is the number of bytes to insert, delete or replace that make a into b (Levenshtein), or some number
// above farthest.
func distance(a, b string) int {
	if len(a)-len(b) > farthest || len(b)-len(a) > farthest {
		return farthest + 1
	}
	row := make([]int, len(b)+1) // distances of a[:i] to every b[:j]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
