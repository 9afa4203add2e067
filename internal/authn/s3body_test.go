package authn_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/authn"
	"github.com/countersign/countersign/internal/session"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/sigv4"
)

// RULES A5, E: a session ends with its role, by revocation, and by its own time.
func TestS3SessionEnds(t *testing.T) {
	t.Parallel()
	rig := newS3Rig(t)
	for name, test := range map[string]struct {
		change func(*session.Session)
		want   countersign.Code
	}{
		"another role of that name": {func(s *session.Session) { s.RoleUID = "uid-of-before" }, countersign.BadToken},
		"a role that is not there":  {func(s *session.Session) { s.Role = "nobody" }, countersign.BadToken},
		"another trust statement":   {func(s *session.Session) { s.Fingerprint = "before" }, countersign.BadToken},
		"another issuer":            {func(s *session.Session) { s.IssuerUID = "uid-of-before" }, countersign.BadToken},
		"a service that is gone":    {func(s *session.Session) { s.Service, s.ServiceUID = "gone", "uid-gone" }, countersign.BadToken},
	} {
		rig.refuse(t, name, rig.get(t, rig.mint(t, "writer", test.change)), authn.S3Options{}, test.want)
	}
	c := rig.mint(t, "writer", nil)
	request := rig.get(t, c)
	if _, err := rig.s3.Authenticate(request, authn.S3Options{}); err != nil {
		t.Fatal(err)
	}
	rig.Registry.Revoke(store.Revocation{Session: c.AccessKeyID, Before: rig.Clock.Now(), ExpiresAt: rig.Clock.Now().Add(time.Hour)})
	rig.refuse(t, "revoked", request, authn.S3Options{}, countersign.BadToken)
}

// The body of a request is read by what the request says of it.
func TestS3Body(t *testing.T) {
	t.Parallel()
	rig := newS3Rig(t)
	c := rig.mint(t, "writer", nil)
	const crc32, sum = "x-amz-checksum-crc32", "y/Q5Jg==" // of 123456789
	const body = "123456789"
	for name, test := range map[string]struct {
		payload string
		header  map[string]string
		body    string
		want    countersign.Code
	}{
		"hash":                   {sigv4.HashPayload([]byte(body)), nil, body, ""},
		"another hash":           {sigv4.EmptyPayloadHash, nil, body, countersign.BodyMismatch},
		"unsigned":               {sigv4.UnsignedPayload, nil, body, ""},
		"trailer":                {sigv4.StreamingUnsignedTrailer, map[string]string{"X-Amz-Trailer": crc32, decoded: "9"}, "9\r\n" + body + "\r\n0\r\n" + crc32 + ":" + sum + "\r\n\r\n", ""},
		"another sum":            {sigv4.StreamingUnsignedTrailer, map[string]string{"X-Amz-Trailer": crc32, decoded: "9"}, "9\r\n" + body + "\r\n0\r\n" + crc32 + ":AAAAAA==\r\n\r\n", countersign.BodyMismatch},
		"no length":              {sigv4.StreamingUnsignedTrailer, map[string]string{"X-Amz-Trailer": crc32}, body, countersign.Invalid},
		"a length with a sign":   {sigv4.StreamingUnsignedTrailer, map[string]string{"X-Amz-Trailer": crc32, decoded: "+9"}, body, countersign.Invalid},
		"a negative length":      {sigv4.StreamingUnsignedTrailer, map[string]string{"X-Amz-Trailer": crc32, decoded: "-9"}, body, countersign.Invalid},
		"a length of text":       {sigv4.StreamingUnsignedTrailer, map[string]string{"X-Amz-Trailer": crc32, decoded: "9 9"}, body, countersign.Invalid},
		"an unknown checksum":    {sigv4.StreamingUnsignedTrailer, map[string]string{"X-Amz-Trailer": "x-amz-checksum-xxhash3", decoded: "9"}, body, countersign.Invalid},
		"a trailer of metadata":  {sigv4.StreamingUnsignedTrailer, map[string]string{"X-Amz-Trailer": "x-amz-meta-a", decoded: "9"}, body, countersign.Invalid},
		"two trailers":           {sigv4.StreamingUnsignedTrailer, map[string]string{"X-Amz-Trailer": crc32 + ", x-amz-checksum-sha1", decoded: "9"}, body, countersign.Invalid},
		"no trailer":             {sigv4.StreamingUnsignedTrailer, map[string]string{decoded: "9"}, body, countersign.Invalid},
		"a trailer, and no form": {sigv4.StreamingPayload, map[string]string{"X-Amz-Trailer": crc32, decoded: "9"}, body, countersign.Invalid},
	} {
		request := s3Request(http.MethodPut, "/documents/resumes/a.pdf", test.body)
		for key, value := range test.header {
			request.Header.Set(key, value)
		}
		rig.sign(t, request, c, test.payload)
		caller, err := rig.s3.Authenticate(request, authn.S3Options{AllowUnsigned: true})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		reader, err := caller.Body(request)
		var got []byte
		if err == nil {
			got, err = io.ReadAll(reader)
		}
		if countersign.CodeOf(err) != test.want || err == nil && string(got) != body {
			t.Errorf("%s: %q, %v, want %q", name, got, err, test.want)
		}
	}
	// What the server does not know the length of is refused.
	request := rig.sign(t, s3Request(http.MethodPut, "/documents/resumes/a.pdf", body), c, sigv4.UnsignedPayload)
	request.Header.Del("Content-Length")
	caller, err := rig.s3.Authenticate(request, authn.S3Options{AllowUnsigned: true})
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = -1
	if _, err := caller.Body(request); countersign.ReasonOf(err) != countersign.ReasonParameterMissing {
		t.Errorf("no length: %v", err)
	}
}

const decoded = "X-Amz-Decoded-Content-Length"
