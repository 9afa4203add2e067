package countersign

// MaxNameBytes is the longest name of a service.
const MaxNameBytes = 63

// ValidName reports whether a service may have that name, which is its OAuth client_id
// too: [a-z0-9][a-z0-9-]{0,62}. It says nothing about whether there is such a service,
// or whether the name is reserved. It does not allocate.
func ValidName(name string) bool {
	if name == "" || len(name) > MaxNameBytes || name[0] == '-' {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}
