package replicas

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/countersign/countersign/authtest"
)

// newProof signs a GetCallerIdentity as the seed's clients do.
func newProof(t *testing.T, amazon *authtest.AWSSTS, who authtest.AWSIdentity) url.Values {
	t.Helper()
	const body = "Action=GetCallerIdentity&Version=2011-06-15"
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, amazon.URL+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Countersign-Server-Id", "test")
	r.Header.Set("Amz-Sdk-Invocation-Id", rand.Text())
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	sum := sha256.Sum256([]byte(body))
	key := aws.Credentials{AccessKeyID: who.AccessKeyID, SecretAccessKey: who.SecretAccessKey.Reveal(), SessionToken: who.SessionToken.Reveal()}
	if err := v4.NewSigner().SignHTTP(t.Context(), key, r, hex.EncodeToString(sum[:]), "sts", "us-east-1", time.Now()); err != nil {
		t.Fatal(err)
	}
	headers := make(map[string]string)
	for name := range r.Header {
		headers[name] = r.Header.Get(name)
	}
	text, err := json.Marshal(headers)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.StdEncoding.EncodeToString
	return url.Values{
		"Action": {"AssumeRoleWithAWSIdentity"}, "RoleArn": {writerARN}, "IamRequestUrl": {encode([]byte(amazon.URL + "/"))},
		"IamRequestBody": {encode([]byte(body))}, "IamRequestHeaders": {encode(text)},
	}
}

// showProof sends a proof to a replica.
func (r *replica) showProof(t *testing.T, proof url.Values) (int, string) {
	t.Helper()
	response, err := http.PostForm(r.url+"/sts", proof)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}
