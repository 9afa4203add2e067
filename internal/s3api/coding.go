package s3api

import "strings"

// WithoutChunked takes aws-chunked off the values of Content-Encoding: it is how a body is
// sent, not what is kept. What is left is one value; "" = nothing.
//
// Source: Amazon S3 API reference, "Signature calculations … in multiple chunks".
func WithoutChunked(values ...string) string {
	if len(values) == 1 && !strings.Contains(strings.ToLower(values[0]), "aws-chunked") {
		return values[0] // as it was written
	}
	var rest []string
	for _, value := range values {
		for coding := range strings.SplitSeq(value, ",") {
			if coding = strings.TrimSpace(coding); coding != "" && !strings.EqualFold(coding, "aws-chunked") {
				rest = append(rest, coding)
			}
		}
	}
	return strings.Join(rest, ",")
}
