package replicas

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/verify"
)

// world is three nodes and what works with them.
type world struct {
	t        *testing.T
	m        *model
	nodes    []*node
	mortals  []*mortal
	numbers  []*register
	receiver countersign.Secret // of parse-service, which introspects
	// receivers verify by themselves: one for each node.
	receivers []*receiver
	caller    countersign.Secret // of session-service, which assumes
	keys      signer             // of signing-service
	down      bool               // the database; of who makes the faults

	mu         sync.Mutex
	assertions []string // the last few that were shown
	sessions   []*sessionState
}

// call is one operation's view: who is asked, since when, and what is drawn.
type call struct {
	w    *world
	node *node
	life *life
	r    *rand.Rand
	at   time.Time // when it began
	calm time.Time
	n    int
}

// heard reports whether the answer counts: what a replica says after it was killed nobody hears.
func (c *call) heard() bool { return !c.life.killed.Load() }

// post sends a form and returns the status and the body; status 0 = no answer.
func (c *call) post(path, user string, secret countersign.Secret, form url.Values) (int, []byte) {
	request, err := http.NewRequest(http.MethodPost, c.life.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// Each operation has an address of its own: who fails often from one is held up there.
	request.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", c.n>>16&255, c.n>>8&255, c.n&255))
	if user != "" {
		request.SetBasicAuth(user, secret.Reveal())
	}
	response, err := c.life.client.Do(request)
	if err != nil {
		return 0, nil
	}
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil || !c.heard() {
		return 0, nil
	}
	return response.StatusCode, body
}

// mint asks for a token, and returns nil where there was none.
func (c *call) mint(user string, secret countersign.Secret, audience string) *tokenState {
	status, body := c.post("/oauth2/token", user, secret, url.Values{"grant_type": {"client_credentials"}, "audience": {audience}})
	c.w.m.counted(fmt.Sprint("token ", status))
	if status != http.StatusOK {
		return nil
	}
	return c.handedOut(user, body)
}

func (c *call) handedOut(user string, body []byte) *tokenState {
	var reply struct {
		Token string `json:"access_token"`
	}
	if json.Unmarshal(body, &reply) != nil {
		return nil
	}
	says, err := verify.ParseUnverified(reply.Token)
	if err != nil {
		c.w.m.violated("a token that can't be read: %v", err)
		return nil
	}
	c.w.m.mu.Lock()
	c.w.m.issued = append(c.w.m.issued, says.ID)
	c.w.m.mu.Unlock()
	return &tokenState{text: reply.Token, id: says.ID, service: user}
}

// operation kinds, by weight.
var kinds = []struct {
	name   string
	weight int
	run    func(*call)
}{
	{"token", 44, (*call).token},
	{"introspect", 20, (*call).introspect},
	{"verify", 13, (*call).verify},
	{"assertion", 7, (*call).assertion},
	{"revoke", 5, (*call).revoke},
	{"change", 4, (*call).change},
	{"session", 4, (*call).session},
	{"write", 2, (*call).write},
	{"read", 1, (*call).read},
}

// token: a service asks with its secret, sometimes with one that was rotated away.
func (c *call) token() {
	s := c.w.mortals[c.r.IntN(len(c.w.mortals))]
	stale := c.r.IntN(8) == 0
	s.mu.Lock()
	secret, dead := s.secret, s.dead
	if stale && len(s.old) > 0 {
		secret = s.old[c.r.IntN(len(s.old))]
	}
	unknown := s.unknown
	s.mu.Unlock()
	c.at = time.Now()
	token := c.mint(s.name, secret.value, "parse-service")
	if token == nil {
		return
	}
	if !unknown {
		c.w.m.accepted("the client "+s.name, dead, c.at, c.calm)
	}
	c.w.m.accepted("a secret of "+s.name, secret.dead, c.at, c.calm)
	s.keep(token)
}

// introspect: the receiver asks about a token that was handed out once.
func (c *call) introspect() {
	s := c.w.mortals[c.r.IntN(len(c.w.mortals))]
	held := s.held()
	if c.r.IntN(4) == 0 {
		held = s.all()
	}
	if len(held) == 0 {
		return
	}
	token := held[c.r.IntN(len(held))]
	dead := token.deadSince()
	c.at = time.Now()
	status, body := c.post("/oauth2/introspect", "parse-service", c.w.receiver, url.Values{"token": {token.text}})
	c.w.m.counted(fmt.Sprint("introspect ", status))
	var said struct{ Active bool }
	if status == http.StatusOK && json.Unmarshal(body, &said) == nil && said.Active {
		c.w.m.accepted("a token dead by "+token.cause(), dead, c.at, c.calm)
	}
}

// assertion: what is good once is shown to every replica at once, and old ones again.
func (c *call) assertion() {
	var text, id string
	c.w.mu.Lock()
	if again := c.w.assertions; c.r.IntN(3) == 0 && len(again) > 0 {
		id, text, _ = strings.Cut(again[c.r.IntN(len(again))], " ")
	}
	c.w.mu.Unlock()
	if text == "" {
		id = fmt.Sprint("once-", c.n)
		text = c.w.keys.assertion(c.w.t, id)
		c.w.mu.Lock()
		c.w.assertions = append(c.w.assertions, id+" "+text)
		if len(c.w.assertions) > 200 {
			c.w.assertions = c.w.assertions[1:]
		}
		c.w.mu.Unlock()
	}
	var shown sync.WaitGroup
	for _, n := range c.w.nodes {
		if l := n.alive(); l != nil {
			shown.Go(func() { c.on(n, l).show(id, text) })
		}
	}
	shown.Wait()
}

// on is the same operation at another node.
func (c *call) on(n *node, l *life) *call {
	other := *c
	other.node, other.life = n, l
	return &other
}

func (c *call) show(id, text string) {
	c.life.busy.Add(1)
	defer c.life.busy.Add(-1)
	status, body := c.post("/oauth2/token", "", countersign.Secret{}, url.Values{
		"grant_type": {"client_credentials"}, "audience": {"parse-service"}, "client_id": {"signing-service"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {text},
	})
	c.w.m.counted(fmt.Sprint("assertion ", status))
	if status == http.StatusOK && c.handedOut("signing-service", body) != nil {
		c.w.m.once(id)
	}
}

// revoke ends one token, or all of a service.
func (c *call) revoke() {
	s := c.w.mortals[c.r.IntN(len(c.w.mortals))]
	held := s.held()
	if len(held) == 0 {
		return
	}
	var err error
	what := "token"
	if c.r.IntN(6) == 0 {
		what = "service"
		_, err = c.life.admin.Revoke(context.Background(), iamclient.Revoke{Service: s.name})
	} else {
		held = held[c.r.IntN(len(held)):][:1]
		_, err = c.life.admin.RevokeToken(context.Background(), countersign.NewSecret(held[0].text))
	}
	c.w.m.counted("revoke " + outcome(err))
	if err != nil || !c.heard() {
		return
	}
	for _, token := range held {
		token.kill(fmt.Sprint("revoke ", what, " at ", c.node.name), time.Now())
	}
}

// outcome is the code of an error.
func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	return string(countersign.CodeOf(err))
}

// session: one is assumed, used, or revoked.
func (c *call) session() {
	c.w.mu.Lock()
	var s *sessionState
	if len(c.w.sessions) > 0 {
		s = c.w.sessions[c.r.IntN(len(c.w.sessions))]
	}
	c.w.mu.Unlock()
	switch what := c.r.IntN(10); {
	case s == nil || what < 2:
		c.assume()
	case what < 8:
		s.mu.Lock()
		dead := s.dead
		s.mu.Unlock()
		c.at = time.Now()
		_, err := c.sts(s.credentials).GetCallerIdentity(context.Background(), &sts.GetCallerIdentityInput{})
		c.w.m.counted("session " + map[bool]string{true: "used", false: "refused"}[err == nil])
		if err == nil && c.heard() {
			c.w.m.accepted("a session", dead, c.at, c.calm)
		}
	default:
		_, err := c.life.admin.Revoke(context.Background(), iamclient.Revoke{Session: *s.credentials.AccessKeyId})
		if err == nil && c.heard() {
			s.mu.Lock()
			if s.dead.IsZero() {
				s.dead = time.Now()
			}
			s.mu.Unlock()
		}
	}
}

func (c *call) assume() {
	token := c.mint("session-service", c.w.caller, "sts")
	if token == nil {
		return
	}
	out, err := c.sts(nil).AssumeRoleWithWebIdentity(context.Background(), &sts.AssumeRoleWithWebIdentityInput{
		RoleArn: aws.String(writerARN), RoleSessionName: aws.String("job"), WebIdentityToken: aws.String(token.text),
	})
	if err != nil || !c.heard() {
		return
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	c.w.sessions = append(c.w.sessions, &sessionState{credentials: out.Credentials})
	if len(c.w.sessions) > 40 {
		c.w.sessions = c.w.sessions[1:]
	}
}

func (c *call) sts(with *types.Credentials) *sts.Client {
	o := sts.Options{Region: "us-east-1", BaseEndpoint: aws.String(c.life.url + "/sts"), RetryMaxAttempts: 1, HTTPClient: c.life.client}
	if with != nil {
		o.Credentials = credentials.NewStaticCredentialsProvider(*with.AccessKeyId, *with.SecretAccessKey, *with.SessionToken)
	}
	return sts.New(o)
}

func numberDocument(name string, value int) iamclient.Apply {
	return iamclient.Apply{Files: []iamclient.File{{Name: "n.yaml", Content: fmt.Sprintf(
		"kind: RoutePolicy\nname: %s\nservice: parse-service\nrules:\n  - name: version-%d\n    from: {services: [session-service]}\n    to: {methods: [GET], paths: [\"/%s\"]}\n", name, value, name)}}}
}

// write counts an object up.
func (c *call) write() {
	r := c.w.numbers[c.r.IntN(len(c.w.numbers))]
	if !r.writing.TryLock() {
		return
	}
	defer r.writing.Unlock()
	r.mu.Lock()
	r.tried++
	value := r.tried
	r.mu.Unlock()
	_, err := c.life.admin.Apply(context.Background(), numberDocument(r.name, value))
	c.w.m.counted("write " + outcome(err))
	if err == nil && c.heard() {
		r.mu.Lock()
		r.acked = value
		r.mu.Unlock()
	}
}

// read reads one: what was acknowledged before is there.
func (c *call) read() {
	r := c.w.numbers[c.r.IntN(len(c.w.numbers))]
	acked := r.ackedNow()
	value, err := c.number(r.name)
	c.w.m.counted("read " + outcome(err))
	if err == nil && c.heard() {
		r.read(c.w.m, acked, value)
	}
}

// number reads an object's content; 0 = there is none.
func (c *call) number(name string) (int, error) {
	object, err := c.life.admin.Object(context.Background(), "RoutePolicy", name)
	if errors.Is(err, countersign.NotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(object.Document, "version-")
	value := 0
	_, err = fmt.Sscanf(after, "%d", &value)
	return value, err
}
