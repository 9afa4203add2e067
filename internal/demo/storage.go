package demo

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/sigv4"
)

// bucket is a folder of this machine, and who may read it.
const bucket = `kind: Bucket
name: documents
origin: {dir: %q}
---
kind: Role
name: document-reader
max_session_duration: 1h
trust:
  - oidc: {issuer: workloads, subject_conditions: ["workload:report"]}
permissions:
  - {bucket: documents, prefixes: ["resumes/"], actions: [get_object]}
`

// objects is the folder of the bucket.
func (s *stage) objects() string { return filepath.Join(s.folder, "documents") }

func (s *stage) applyBucket(ctx context.Context) error {
	if err := os.Mkdir(s.objects(), 0o700); err != nil {
		return fmt.Errorf("make the folder of the bucket: %w", err)
	}
	text := fmt.Sprintf(bucket, s.objects())
	if _, err := s.admin.Apply(ctx, iamclient.Apply{Files: []iamclient.File{{Name: "bucket.yaml", Content: text}}, Owner: "demo-bucket"}); err != nil {
		return fmt.Errorf("apply the bucket: %w", err)
	}
	return nil
}

const (
	resume  = "resumes/alice.txt"
	written = "alice's resume"
)

// storageScenes are those of the S3 gateway: what the credentials open, and what not.
func (s *stage) storageScenes() []step {
	return []step{
		{title: "the build job uploads a resume through the S3 gateway, with credentials of document-writer", status: 200,
			play: s.stores("document-writer", "workload:document-builder", http.MethodPut, resume)},
		{title: "a report reads it, with credentials of document-reader", status: 200,
			play: s.stores("document-reader", "workload:report", http.MethodGet, resume)},
		{title: "the report tries to write to it", status: 403, reason: countersign.ReasonActionNotAllowed,
			play: s.stores("document-reader", "workload:report", http.MethodPut, resume)},
		{title: "the report reads outside of its prefix", status: 403, reason: countersign.ReasonActionNotAllowed,
			play: s.stores("document-reader", "workload:report", http.MethodGet, "payroll/alice.txt")},
		{title: "somebody who has a presigned link, and nothing else, opens the resume", status: 200, play: s.opensLink},
		{title: "an administrator revokes the session that signed the link: it opens nothing any more", status: 403, reason: countersign.ReasonSessionRevoked,
			play: s.revokedLink},
	}
}

// stores plays one request at the gateway with fresh credentials of a role.
func (s *stage) stores(role, subject, method, key string) func(context.Context) (reply, error) {
	return func(ctx context.Context) (reply, error) {
		p := s.webIdentity(role, subject)
		defer func() { _ = p.Close() }()
		got, err := p.Retrieve(ctx)
		if err != nil {
			return s.refusedBySTS(ctx, err)
		}
		s.session = got
		body := ""
		if method == http.MethodPut {
			body = written
		}
		request, err := s.objectRequest(ctx, method, key, body)
		if err != nil {
			return reply{}, err
		}
		err = sigv4.Sign(request, signingKey(got), sigv4.SignOptions{
			Region: "us-east-1", Service: "s3", Time: time.Now(), PayloadHash: sigv4.HashPayload([]byte(body)),
		})
		if err != nil {
			return reply{}, fmt.Errorf("sign: %w", err)
		}
		return fetchObject(request)
	}
}

func (s *stage) objectRequest(ctx context.Context, method, key, body string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.server.Addresses().S3URL+"/documents/"+key, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	return request, nil
}

// fetchObject sends a request to the gateway and reads what it says.
func fetchObject(request *http.Request) (reply, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return reply{}, fmt.Errorf("call the gateway: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return reply{}, fmt.Errorf("read the answer: %w", err)
	}
	out := reply{status: response.StatusCode}
	switch {
	case response.StatusCode != http.StatusOK:
		out.note, out.Reason = s3Refusal(text)
	case request.Method == http.MethodGet && string(text) != written:
		out.status, out.note = http.StatusConflict, "another object came back"
	case request.Method == http.MethodGet:
		out.note = fmt.Sprintf("%q", text)
	}
	return out, nil
}

// s3Refusal reads the code of an S3 error, and the reason that the demo's server shows
// behind its message.
func s3Refusal(text []byte) (code string, reason countersign.Reason) {
	var refusal struct {
		Code    string `xml:"Code"`
		Message string `xml:"Message"`
	}
	_ = xml.Unmarshal(text, &refusal) // what is none has no code
	if open := strings.LastIndex(refusal.Message, "("); open >= 0 {
		reason = countersign.Reason(strings.TrimSuffix(refusal.Message[open+1:], ")"))
	}
	return refusal.Code, reason
}

// opensLink signs a link with the credentials that are at hand, and opens it without any.
func (s *stage) opensLink(ctx context.Context) (reply, error) {
	request, err := s.objectRequest(ctx, http.MethodGet, resume, "")
	if err != nil {
		return reply{}, err
	}
	link, err := sigv4.Presign(request, signingKey(s.session), sigv4.SignOptions{Region: "us-east-1", Service: "s3", Time: time.Now()}, time.Hour)
	if err != nil {
		return reply{}, fmt.Errorf("sign the link: %w", err)
	}
	s.link = link.String()
	return s.opens(ctx)
}

// opens opens the link as a browser does.
func (s *stage) opens(ctx context.Context) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.link, http.NoBody)
	if err != nil {
		return reply{}, fmt.Errorf("make the request: %w", err)
	}
	return fetchObject(request)
}

// revokedLink ends the session behind the link.
func (s *stage) revokedLink(ctx context.Context) (reply, error) {
	if _, err := s.admin.Revoke(ctx, iamclient.Revoke{Session: s.session.AccessKeyID}); err != nil {
		return reply{}, fmt.Errorf("revoke: %w", err)
	}
	return s.opens(ctx)
}
