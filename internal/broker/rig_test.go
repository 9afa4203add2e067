package broker_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/broker"
	"github.com/countersign/countersign/internal/fixture"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
)

const (
	ourIssuer = "https://auth.example.com"
	xmlns     = `xmlns="https://sts.amazonaws.com/doc/2011-06-15/"`
)

var start = time.Unix(1_800_000_000, 0).UTC()

// fakeSTS answers AssumeRoleWithWebIdentity with numbered keys.
type fakeSTS struct {
	*httptest.Server
	clock *fixture.Clock
	calls atomic.Int64
	// life is that of the credentials; 0 = what was asked for.
	life time.Duration

	mu   sync.Mutex
	form url.Values
	// before runs before an answer; false = it has answered.
	before func(w http.ResponseWriter, r *http.Request) bool
	// change changes the answer's text.
	change func(text string) string
}

func newSTS(t testing.TB, clock *fixture.Clock) *fakeSTS {
	t.Helper()
	s := &fakeSTS{clock: clock}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func (s *fakeSTS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := s.calls.Add(1)
	_ = r.ParseForm()
	s.mu.Lock()
	s.form = r.PostForm
	before, change := s.before, s.change
	s.mu.Unlock()
	if before != nil && !before(w, r) {
		return
	}
	life := s.life
	if life == 0 {
		life, _ = time.ParseDuration(r.PostForm.Get("DurationSeconds") + "s")
	}
	role := strings.Split(r.PostForm.Get("RoleArn"), "/")
	session := r.PostForm.Get("RoleSessionName")
	text := fmt.Sprintf(`<AssumeRoleWithWebIdentityResponse %s><AssumeRoleWithWebIdentityResult>
<Credentials><AccessKeyId>ASIAIOSFODNN7%07d</AccessKeyId><SecretAccessKey>secret/%d+</SecretAccessKey><SessionToken>token/%d==</SessionToken><Expiration>%s</Expiration></Credentials>
<SubjectFromWebIdentityToken>x</SubjectFromWebIdentityToken><Audience>sts.amazonaws.com</Audience><PackedPolicySize>7</PackedPolicySize>
<AssumedRoleUser><AssumedRoleId>AROAIOSFODNN7EXAMPLE:%s</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/%s/%s</Arn></AssumedRoleUser>
</AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>`,
		xmlns, n, n, n, s.clock.Now().Add(life).Format(time.RFC3339), session, role[len(role)-1], session)
	if change != nil {
		text = change(text)
	}
	w.Header().Set("Content-Type", "text/xml")
	_, _ = w.Write([]byte(text))
}

// doBefore sets what runs before an answer.
func (s *fakeSTS) doBefore(before func(w http.ResponseWriter, r *http.Request) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

func (s *fakeSTS) doChange(change func(text string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change = change
}

func refuseWith(status int, code string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(`<ErrorResponse ` + xmlns + `><Error><Type>Sender</Type><Code>` + code + `</Code><Message>m</Message></Error><RequestId>1</RequestId></ErrorResponse>`))
		return false
	}
}

type rig struct {
	clock *fixture.Clock
	sts   *fakeSTS
	aws   *broker.AWS
	ring  *keys.Ring
}

// newRing returns keys with one for the broker, which is made once somebody has asked.
func newRing(t testing.TB, clock *fixture.Clock) *keys.Ring {
	t.Helper()
	db := fixture.NewStore(t)
	ring := fixture.OpenKeys(t, keys.Config{Now: clock.Now, Store: db})
	if _, err := ring.Signer(keys.Broker); countersign.CodeOf(err) != countersign.Unavailable {
		t.Fatalf("a broker key from nowhere: %v", err)
	}
	err := db.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := ring.MaintainIn(ctx, tx)
		return err
	})
	if err == nil {
		err = ring.Reload(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func newRig(t testing.TB) *rig {
	t.Helper()
	clock := fixture.NewClock(start)
	ring := newRing(t, clock)
	r := &rig{clock: clock, sts: newSTS(t, clock), ring: ring}
	var err error
	r.aws, err = broker.New(broker.Config{Issuer: ourIssuer, Now: clock.Now, Signer: func() (*keys.Signer, error) { return ring.Signer(keys.Broker) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.aws.Close() })
	return r
}

func (r *rig) request() broker.Request {
	return broker.Request{
		Role: "document-writer", RoleUID: "u-1", RoleARN: "arn:aws:iam::123456789012:role/path/Real", Region: "us-east-1", Endpoint: r.sts.URL,
		Issuer: "https://idp.example.com", Subject: "job-1", SessionName: "run-1", Policy: `{"Version":"2012-10-17","Statement":[]}`,
		Duration: time.Hour,
	}
}

func (r *rig) get(t testing.TB, request broker.Request) broker.Credentials {
	t.Helper()
	c, err := r.aws.Credentials(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
