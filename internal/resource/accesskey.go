package resource

import (
	"time"

	"github.com/countersign/countersign"
)

// AccessKey is a long-lived key of a service for the S3 gateway, without its secret. It is
// made by a command, which shows the secret once: a document of one that is not there yet is
// refused, and one that is there never changes.
type AccessKey struct {
	Service string `json:"service"`
	Role    string `json:"role"`
	// AccessKeyID and ExpiresAt are what the command chose.
	AccessKeyID string    `json:"access_key_id,omitempty"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"`
}

// Covers reports whether the key is as other says, as far as that says something.
func (k *AccessKey) Covers(other *AccessKey) bool {
	return k.Service == other.Service && k.Role == other.Role &&
		(other.AccessKeyID == "" || other.AccessKeyID == k.AccessKeyID) &&
		(other.ExpiresAt.IsZero() || other.ExpiresAt.Equal(k.ExpiresAt))
}

func readAccessKey(f *fields) *AccessKey {
	k := &AccessKey{Service: f.text("service"), Role: f.text("role"), AccessKeyID: f.text("access_key_id")}
	for _, field := range []struct{ key, name string }{{"service", k.Service}, {"role", k.Role}} {
		if f.required(field.key) && field.name != "" && !countersign.ValidName(field.name) {
			f.wrong(field.key, nameForm)
		}
	}
	if _, ok := f.find("secret_access_key"); ok {
		f.wrong("secret_access_key", "has no place in a document")
	}
	if text := f.text("expires_at"); text != "" {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			f.wrong("expires_at", "must be a time, such as 2026-01-02T15:04:05Z")
		}
		k.ExpiresAt = at.UTC()
	}
	return k
}
