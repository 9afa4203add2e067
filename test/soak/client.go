package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// client is one of many. It alone writes below its prefix, so it knows what is there.
type client struct {
	run     *run
	session session
	prefix  string
	keys    []string
	objects map[string]object
	random  *rand.Rand
	http    *http.Client
	sdk     *s3.Client
	idle    func()
}

// names are those of each client's objects; some are such that an encoding may get wrong.
var names = []string{
	"a", "b/c", "b/d", "with space", "plus+plus", "year=2026/month=11/part.parquet", "umlaut-ä/日本語", "100%", "percent%2Fencoded", "(brackets)", "quote's", "semi;colon,comma",
}

func newClient(r *run, id int, s session) *client {
	transport := &http.Transport{MaxIdleConnsPerHost: 2, ResponseHeaderTimeout: time.Minute}
	c := &client{
		run: r, session: s, prefix: fmt.Sprintf("clients/%03d/", id), objects: make(map[string]object),
		random: rand.New(rand.NewPCG(r.o.seed, uint64(id))), //nolint:gosec // G404, G115: a load that can be had again
		http:   &http.Client{Transport: counted{transport, r.report}, Timeout: 2 * time.Minute}, idle: transport.CloseIdleConnections,
	}
	for _, name := range names {
		c.keys = append(c.keys, c.prefix+name)
		c.objects[c.prefix+name] = object{absent: true}
	}
	c.sdk = s3.New(s3.Options{
		Region: "us-east-1", BaseEndpoint: &r.gateway, UsePathStyle: true, HTTPClient: c.http, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, s.SessionToken),
	})
	return c
}

// work goes on until enough was asked for, and then looks once more at all that it has.
func (c *client) work(ctx context.Context) {
	defer c.idle()
	for ctx.Err() == nil && c.run.report.requests.Load() < int64(c.run.o.requests) {
		c.step(ctx)
	}
	if ctx.Err() != nil {
		return
	}
	for _, key := range c.keys {
		c.get(ctx, key)
	}
	c.list(ctx)
}

// step does one thing, of which some come more often.
func (c *client) step(ctx context.Context) {
	key := c.keys[c.random.IntN(len(c.keys))]
	switch n := c.random.IntN(1000); {
	case n < 380:
		c.get(ctx, key)
	case n < 640:
		c.put(ctx, key)
	case n < 720:
		c.head(ctx, key)
	case n < 790:
		c.list(ctx)
	case n < 840:
		c.copy(ctx, key, c.keys[c.random.IntN(len(c.keys))])
	case n < 880:
		c.delete(ctx, key)
	case n < 890:
		c.deleteMany(ctx)
	case n < 894:
		c.parts(ctx, key)
	case n < 910:
		c.breakOff(ctx, key)
	case n < 940:
		c.tamper(ctx, key)
	case n < 970:
		c.foreign(ctx)
	default:
		c.getRange(ctx, key)
	}
}

// judge counts an answer that may be, forgives what an absent origin explains, and writes
// all else down. It reports whether the answer was one that may be.
func (c *client) judge(what, key string, began time.Time, r result, may bool) bool {
	switch {
	case may:
		c.run.report.did(what)
		return true
	case r.passing() && c.run.outages.touched(began):
		c.run.report.tolerate(fmt.Sprintf("%s: %s", what, failure(r)))
		time.Sleep(time.Duration(20+c.random.IntN(100)) * time.Millisecond) // as clients do
	default:
		shows := ""
		if len(r.body) > 0 && r.body[0] == '<' {
			shows = string(r.body[:min(len(r.body), 2000)])
		}
		c.run.report.violation("%s %q: %s, with %d bytes; it may hold %d contents, or nothing: %v %s", what, key, failure(r), len(r.body),
			len(c.objects[key].contents), c.objects[key].absent, shows)
	}
	return false
}

func failure(r result) string {
	switch {
	case r.err != nil && r.status != 0:
		return fmt.Sprintf("%d, broken off", r.status)
	case r.err != nil:
		return "no answer"
	}
	return fmt.Sprintf("%d %s", r.status, r.code)
}

// get reads an object, in one of the ways that there are.
func (c *client) get(ctx context.Context, key string) {
	began, o := time.Now(), c.objects[key]
	var r result
	switch c.random.IntN(3) {
	case 0:
		r = c.sdkGet(ctx, key)
	case 1:
		r = c.do(ctx, call{method: http.MethodGet, key: key})
	default:
		r = c.do(ctx, call{method: http.MethodGet, key: key, form: formLink})
	}
	c.run.report.bytes.Add(int64(len(r.body)))
	c.judge("get", key, began, r, r.is(http.StatusOK) && o.may(r.body) || r.is(http.StatusNotFound, "NoSuchKey") && o.absent)
}

func (c *client) getRange(ctx context.Context, key string) {
	o := c.objects[key]
	m, sure := o.sure()
	if !sure || m.size < 2 {
		return
	}
	first := c.random.IntN(m.size)
	last := first + c.random.IntN(m.size-first)
	began := time.Now()
	r := c.do(ctx, call{method: http.MethodGet, key: key, header: map[string]string{"Range": fmt.Sprintf("bytes=%d-%d", first, last)}})
	c.judge("get a range", key, began, r, r.is(http.StatusPartialContent) && len(r.body) == last-first+1 && o.mayRange(first, r.body))
}

func (c *client) head(ctx context.Context, key string) {
	began, o := time.Now(), c.objects[key]
	r := c.do(ctx, call{method: http.MethodHead, key: key})
	may := r.is(http.StatusNotFound) && o.absent ||
		r.is(http.StatusOK) && slices.ContainsFunc(o.contents, func(m made) bool { return fmt.Sprint(m.size) == r.header.Get("Content-Length") })
	c.judge("head", key, began, r, may)
}

// put writes an object. What it may hold is what was written or, if that failed, either.
func (c *client) put(ctx context.Context, key string) {
	began, m := time.Now(), newContent(c.random)
	what, content := "put by the SDK", m.bytes()
	var r result
	if n := c.random.IntN(len(forms) + 3); n < len(forms) {
		what = "put, " + forms[n]
		r = c.do(ctx, call{method: http.MethodPut, key: key, body: content, form: forms[n]})
	} else {
		r = c.sdkPut(ctx, key, content)
	}
	c.run.report.bytes.Add(int64(m.size))
	c.wrote(what, key, began, r, object{contents: []made{m}})
}

// wrote judges a write that makes key to be as.
func (c *client) wrote(what, key string, began time.Time, r result, as object) {
	if !c.judge(what, key, began, r, r.ok()) {
		as = as.or(c.objects[key])
	}
	c.objects[key] = as
}
