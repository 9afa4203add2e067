package replicas

import (
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/store/storetest"
)

const writerARN = "arn:aws:iam::000000000000:role/writer"

func (r *replica) sts(c *types.Credentials) *sts.Client {
	o := sts.Options{Region: "us-east-1", BaseEndpoint: aws.String(r.url + "/sts"), RetryMaxAttempts: 1, HTTPClient: http.DefaultClient}
	if c != nil {
		o.Credentials = credentials.NewStaticCredentialsProvider(*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken)
	}
	return sts.New(o)
}

// lives reports whether a session is taken at the replica.
func (r *replica) lives(t *testing.T, c *types.Credentials) bool {
	t.Helper()
	_, err := r.sts(c).GetCallerIdentity(t.Context(), &sts.GetCallerIdentityInput{})
	return err == nil
}

// TestSessionsWorkAtEveryReplica: what one mints the other opens, and what is revoked or
// taken away at one is refused at the other.
func TestSessionsWorkAtEveryReplica(t *testing.T) {
	t.Parallel()
	cluster := storetest.NewCluster(t)
	dsn, master := cluster.NewDatabase(t), newMaster(t)
	a, b := start(t, dsn, master, issuer), start(t, dsn, master, issuer)
	workloads := authtest.NewUserIssuer(t, "sts-clients")
	role := `
kind: Role
name: writer
trust:
  - oidc: {issuer: workloads, subject_conditions: ["build:*"]}
permissions:
  - {bucket: documents, prefixes: ["resumes/"], actions: [get_object]}
`
	apply := func(r *replica, text string) {
		t.Helper()
		if _, err := r.admin.Apply(t.Context(), iamclient.Apply{Files: []iamclient.File{{Name: "f.yaml", Content: text}}}); err != nil {
			t.Fatal(err)
		}
	}
	apply(a, "kind: Issuer\nname: workloads\nurl: "+workloads.URL+"\nsubject: workload\nprofile: oidc\naudiences: [sts-clients]\n---"+role)
	assume := func(r *replica) (*types.Credentials, error) {
		out, err := r.sts(nil).AssumeRoleWithWebIdentity(t.Context(), &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: aws.String(writerARN), RoleSessionName: aws.String("job"), WebIdentityToken: aws.String(workloads.Token(t, "build:main", nil)),
		})
		if err != nil {
			return nil, err
		}
		return out.Credentials, nil
	}
	var made *types.Credentials
	eventually(t, 30*time.Second, "the other replica knows role and issuer", func() bool {
		var err error
		made, err = assume(b)
		return err == nil
	})
	for name, r := range map[string]*replica{"where it was minted": b, "the other": a} {
		if !r.lives(t, made) {
			t.Errorf("%s: the session is refused\n%s", name, r.log)
		}
	}
	if _, err := a.admin.RotateKeys(t.Context(), iamclient.RotateKeys{Purpose: "session"}); err != nil {
		t.Fatal(err)
	}
	if !a.lives(t, made) || !b.lives(t, made) {
		t.Error("a rotation of keys ended the session")
	}
	if _, err := a.admin.Revoke(t.Context(), iamclient.Revoke{Session: *made.AccessKeyId}); err != nil {
		t.Fatal(err)
	}
	if a.lives(t, made) {
		t.Error("the session is taken where it was revoked")
	}
	eventually(t, 30*time.Second, "the other replica refuses the session", func() bool { return !b.lives(t, made) })

	again, err := assume(b)
	if err != nil {
		t.Fatal(err)
	}
	apply(a, "kind: Role\nname: writer\ntrust:\n  - oidc: {issuer: workloads, subject_conditions: [\"deploy:*\"]}\npermissions:\n  - {bucket: documents, prefixes: [\"resumes/\"], actions: [get_object]}\n")
	eventually(t, 30*time.Second, "the other replica knows that the trust is gone", func() bool { return !b.lives(t, again) })

	// The database is away: what is known opens, and new sessions are minted.
	apply(a, role)
	var held *types.Credentials
	eventually(t, 30*time.Second, "the role trusts again", func() bool { held, err = assume(b); return err == nil })
	cluster.Stop(t)
	if !b.lives(t, held) {
		t.Error("the session is refused while the database is away")
	}
	if _, err := assume(b); err != nil {
		t.Errorf("no session while the database is away: %v", err)
	}
	cluster.Start(t)
}

// TestAWSIdentityProofIsGoodOnceOnAllReplicas: single use holds across replicas, and while
// nobody can tell nothing is taken.
func TestAWSIdentityProofIsGoodOnceOnAllReplicas(t *testing.T) {
	t.Parallel()
	cluster := storetest.NewCluster(t)
	dsn, master := cluster.NewDatabase(t), newMaster(t)
	amazon := authtest.NewAWSSTS(t, authtest.AWSSTSConfig{})
	environ := []string{"COUNTERSIGN_STS_SERVER_ID=test", "COUNTERSIGN_STS_AWS_ENDPOINTS=" + amazon.URL}
	a, b := start(t, dsn, master, issuer, environ...), start(t, dsn, master, issuer, environ...)
	who := amazon.AssumeRole(t, amazon.AddRole(t, authtest.AWSRole{Name: "lambda"}), "one", time.Hour)
	_, err := a.admin.Apply(t.Context(), iamclient.Apply{Files: []iamclient.File{{Name: "f.yaml", Content: `
kind: Role
name: writer
trust:
  - aws: {trusted_aws_accounts: ["` + amazon.Account + `"], subject_conditions: ["arn:aws:sts::` + amazon.Account + `:assumed-role/lambda/*"]}
permissions:
  - {bucket: documents, prefixes: ["resumes/"], actions: [get_object]}
`}}})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 30*time.Second, "the other replica knows the role", func() bool {
		status, _ := b.showProof(t, newProof(t, amazon, who))
		return status == http.StatusOK
	})
	proof := newProof(t, amazon, who)
	if status, text := a.showProof(t, proof); status != http.StatusOK {
		t.Fatal(status, text)
	}
	for name, r := range map[string]*replica{"where it was used": a, "the other": b} {
		if status, _ := r.showProof(t, proof); status != http.StatusBadRequest {
			t.Errorf("%s: %d", name, status)
		}
	}
	calls := len(amazon.Calls())
	cluster.Stop(t)
	if status, _ := a.showProof(t, newProof(t, amazon, who)); status != http.StatusServiceUnavailable {
		t.Errorf("in an outage: %d", status)
	}
	if len(amazon.Calls()) != calls {
		t.Error("AWS was asked about a proof that could not be noted")
	}
	cluster.Start(t)
}
