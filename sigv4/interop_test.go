package sigv4_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/sigv4"
)

// TestInteropSTSClient: the real client of the SDK, with all that its middleware adds, by
// header and by a presigned URL.
func TestInteropSTSClient(t *testing.T) {
	t.Parallel()
	verdicts := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = verifyNow(r, body)
		}
		verdicts <- err
		_, _ = io.WriteString(w, `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult/></GetCallerIdentityResponse>`)
	}))
	defer server.Close()
	for _, path := range []string{"", "/", "/sts", "/sts/"} {
		client := sts.New(sts.Options{
			Region: "eu-central-1", BaseEndpoint: aws.String(server.URL + path), HTTPClient: server.Client(),
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return theirs, nil }),
		})
		if _, err := client.GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{}); err != nil {
			t.Fatal(err)
		}
		if err := <-verdicts; err != nil {
			t.Errorf("%q by header: %v", path, err)
		}
		link, err := sts.NewPresignClient(client).PresignGetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), link.Method, link.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if err := <-verdicts; err != nil {
			t.Errorf("%q presigned: %v", path, err)
		}
	}
}

// verifyNow holds the request against its own time: the client has a clock of its own.
func verifyNow(r *http.Request, body []byte) error {
	q, err := sigv4.Parse(r, sigv4.ParseOptions{})
	if err != nil {
		return err
	}
	v := sigv4.VerifyOptions{Secret: ours.SecretAccessKey, Now: q.Time, Service: "sts", BodyHash: sigv4.HashPayload(body)}
	if q.AccessKeyID != theirs.AccessKeyID || q.SessionToken.Reveal() != theirs.SessionToken {
		v.Secret = countersign.Secret{}
	}
	return q.Verify(v)
}
