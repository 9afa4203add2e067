package s3dir

import (
	"net/http"
	"strings"
	"time"

	"github.com/countersign/countersign/internal/s3api"
)

func preconditionFailed(header string) error {
	return &s3api.Error{
		Code: s3api.PreconditionFailed, Message: "At least one of the pre-conditions you specified did not hold: " + header + ".",
	}
}

// writeCondition is under which condition an object is replaced or removed.
type writeCondition struct {
	mustBeNew bool   // If-None-Match: *
	match     string // If-Match: an ETag, or *; "" = not given
	// missingIsFine: a delete of what is not there succeeds, whatever If-Match says.
	missingIsFine bool
}

// writeConditionOf reads the condition of a write.
//
// Source: Amazon S3 User Guide, "Add preconditions to S3 operations with conditional requests".
func writeConditionOf(h http.Header) (writeCondition, error) {
	when := writeCondition{match: h.Get("If-Match")}
	if none := h.Get("If-None-Match"); none != "" {
		if none != "*" || when.match != "" {
			return when, refuse(s3api.NotImplemented, "A write takes If-None-Match: * or If-Match alone.")
		}
		when.mustBeNew = true
	}
	return when, nil
}

func (when writeCondition) empty() bool { return !when.mustBeNew && when.match == "" }

// check is called with the files of the key.
func (when writeCondition) check(d *Dir, key string, files []located) error {
	if when.empty() {
		return nil
	}
	if len(files) == 0 {
		if when.match == "" || when.missingIsFine {
			return nil
		}
		return noSuchKey()
	}
	if when.mustBeNew {
		return preconditionFailed("If-None-Match")
	}
	known, err := d.describe(key, files[0].path, files[0].info)
	if err != nil {
		return err
	}
	if !matchesETag(when.match, known.etag) {
		return preconditionFailed("If-Match")
	}
	return nil
}

// matchesETag reports whether a list of ETags, or "*", names the one.
func matchesETag(list, etag string) bool {
	for each := range strings.SplitSeq(list, ",") {
		each = strings.TrimPrefix(strings.TrimSpace(each), "W/")
		if each == "*" || strings.Trim(each, `"`) == etag {
			return true
		}
	}
	return false
}

// readCondition is under which condition an object is read.
type readCondition struct {
	match, noneMatch, modified, unmodified string
}

func readConditionOf(h http.Header, prefix string) readCondition {
	return readCondition{
		match: h.Get(prefix + "If-Match"), noneMatch: h.Get(prefix + "If-None-Match"),
		modified: h.Get(prefix + "If-Modified-Since"), unmodified: h.Get(prefix + "If-Unmodified-Since"),
	}
}

// check returns the name of the condition that fails, and whether it is one that a reader
// gets 304 for. An ETag that is asked for outweighs a time; a time that can't be read or lies
// in the future is no condition.
//
// Source: RFC 9110 §13.2.2; Amazon S3 API reference, GetObject.
func (when readCondition) check(etag string, modified, now time.Time) (failed string, notModified bool) {
	if when.match != "" {
		if !matchesETag(when.match, etag) {
			return "If-Match", false
		}
	} else if at, ok := conditionTime(when.unmodified, now); ok && modified.After(at) {
		return "If-Unmodified-Since", false
	}
	if when.noneMatch != "" {
		if matchesETag(when.noneMatch, etag) {
			return "If-None-Match", true
		}
	} else if at, ok := conditionTime(when.modified, now); ok && !modified.After(at) {
		return "If-Modified-Since", true
	}
	return "", false
}

func conditionTime(value string, now time.Time) (time.Time, bool) {
	if value == "" {
		return time.Time{}, false
	}
	at, err := http.ParseTime(value)
	return at, err == nil && !at.After(now)
}
