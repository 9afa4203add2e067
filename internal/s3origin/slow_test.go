package s3origin_test

import (
	"context"
	"encoding/xml"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/s3api"
)

// An answer that takes long begins before it is known, so that the client goes on waiting.
func TestSlowAnswersBeginBeforeTheyAreKnown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"success": {
			answerWith(200, xml.Header+"<CompleteMultipartUploadResult><Key>team/a</Key></CompleteMultipartUploadResult>"),
			"<CompleteMultipartUploadResult><Key>a</Key></CompleteMultipartUploadResult>",
		},
		"refusal":      {refuseWith(400, "InvalidPart"), "<Error><Code>InvalidPart</Code><Message>a part was not found, or has another entity tag</Message></Error>"},
		"our mistake":  {refuseWith(400, "ExpiredToken"), "<Error><Code>InternalError</Code><Message>the origin does not answer as it should</Message></Error>"},
		"no answer":    {raw(""), "<Error><Code>InternalError</Code><Message>the origin does not answer as it should</Message></Error>"},
		"late refusal": {refuseWith(200, "SlowDown"), "<Error><Code>SlowDown</Code><Message>the origin asks to slow down</Message></Error>"},
	} {
		release := make(chan struct{})
		r := newRig(t, func(w http.ResponseWriter, q *http.Request) { <-release; test.answer(w, q) })
		r.SetPatience(time.Millisecond)
		resp, err := r.Do(t.Context(), withText(request(s3api.CompleteMultipartUpload, "a", "uploadId", "u"), "<CompleteMultipartUpload></CompleteMultipartUpload>"))
		if err != nil || resp.Status != 200 || resp.ContentLength != -1 {
			t.Fatalf("%s: %v, %v", name, resp, err)
		}
		got := make([]byte, 0, 1024)
		room := make([]byte, 100)
		for spaces := 0; spaces < 3; { // it is alive
			n, err := resp.Body.Read(room)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, room[:n]...)
			spaces = strings.Count(string(got[min(len(got), len(xml.Header)):]), " ")
		}
		close(release)
		rest, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		document := strings.TrimSpace(strings.TrimPrefix(string(got)+string(rest), xml.Header))
		if document != test.want || !strings.HasPrefix(string(got), xml.Header) {
			t.Errorf("%s: %s", name, document)
		}
		_ = resp.Body.Close()
	}
}

func TestSlowAnswerEndsWithItsClient(t *testing.T) {
	t.Parallel()
	asked, gone := make(chan struct{}), make(chan struct{})
	r := newRig(t, func(_ http.ResponseWriter, q *http.Request) { close(asked); <-q.Context().Done(); close(gone) })
	copied := request(s3api.CopyObject, "a")
	copied.Source = &s3api.Source{Origin: r.Origin, Key: "b"}
	r.SetPatience(time.Millisecond)
	resp, err := r.Do(t.Context(), copied)
	if err != nil {
		t.Fatal(err)
	}
	<-asked
	_ = resp.Body.Close()
	<-gone

	gone = make(chan struct{})
	r.SetPatience(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	r.store.set(func(_ http.ResponseWriter, q *http.Request) { cancel(); <-q.Context().Done(); close(gone) })
	if _, err := r.Do(ctx, copied); err == nil {
		t.Error("an answer for nobody")
	}
	<-gone
}
