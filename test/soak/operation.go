package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// list compares what is listed with what is known.
func (c *client) list(ctx context.Context) {
	began := time.Now()
	r := c.do(ctx, call{method: http.MethodGet, query: url.Values{"list-type": {"2"}, "prefix": {c.prefix}, "encoding-type": {"url"}}})
	var document struct {
		IsTruncated  bool
		EncodingType string // the origin by itself encodes nothing
		Contents     []struct {
			Key  string
			Size int
		}
	}
	may := r.is(http.StatusOK) && xml.Unmarshal(r.body, &document) == nil && !document.IsTruncated
	listed := make(map[string]int)
	for _, entry := range document.Contents {
		key, err := entry.Key, error(nil)
		if document.EncodingType != "" {
			key, err = url.QueryUnescape(key)
		}
		may = may && err == nil && slices.Contains(c.keys, key)
		listed[key] = entry.Size
	}
	for key, o := range c.objects {
		size, there := listed[key]
		may = may && (!there && o.absent || there && slices.ContainsFunc(o.contents, func(m made) bool { return m.size == size }))
	}
	c.judge("list", c.prefix, began, r, may)
}

// copy copies an object within the bucket.
func (c *client) copy(ctx context.Context, from, to string) {
	began, o := time.Now(), c.objects[from]
	if from == to {
		return
	}
	r := c.do(ctx, call{method: http.MethodPut, key: to, header: map[string]string{"X-Amz-Copy-Source": "/" + c.run.bucket + "/" + escape(from)}})
	if r.is(http.StatusNotFound, "NoSuchKey") && o.absent {
		c.run.report.did("copy of nothing")
		return
	}
	// A copy that goes wrong late is a 200 with an error.
	if r.ok() && bytes.Contains(r.body, []byte("<Error>")) {
		r.status = http.StatusInternalServerError
	}
	c.wrote("copy", to, began, r, object{contents: o.contents})
}

func (c *client) delete(ctx context.Context, key string) {
	began := time.Now()
	r := c.do(ctx, call{method: http.MethodDelete, key: key})
	c.wrote("delete", key, began, r, object{absent: true})
}

// deleteMany deletes three of its own and one that is not its own, which is refused.
func (c *client) deleteMany(ctx context.Context) {
	type key struct{ Key string }
	var request struct {
		XMLName xml.Name `xml:"Delete"`
		Object  []key
	}
	mine := make([]string, 0, 3)
	for _, i := range c.random.Perm(len(c.keys))[:3] {
		mine = append(mine, c.keys[i])
		request.Object = append(request.Object, key{c.keys[i]})
	}
	if !c.run.o.direct {
		request.Object = append(request.Object, key{"others/a"})
	}
	body, err := xml.Marshal(request)
	if err != nil {
		panic(err) // of strings alone
	}
	began := time.Now()
	r := c.do(ctx, call{method: http.MethodPost, query: url.Values{"delete": {""}}, body: body, header: map[string]string{"Content-Md5": md5Of(body)}})
	var document struct {
		Deleted []key
		Error   []struct{ Key, Code string }
	}
	may := r.is(http.StatusOK) && xml.Unmarshal(r.body, &document) == nil && len(document.Deleted) == len(mine) &&
		(c.run.o.direct || len(document.Error) == 1 && document.Error[0].Key == "others/a" && document.Error[0].Code == "AccessDenied")
	if r.ok() && !may && c.run.outages.touched(began) {
		r.status = http.StatusServiceUnavailable // of some keys
	}
	good := c.judge("delete many", c.prefix, began, r, may)
	for _, key := range mine {
		after := object{absent: true}
		if !good {
			after = after.or(c.objects[key])
		}
		c.objects[key] = after
	}
}

// minPart is the least that S3 takes of a part that is not the last.
const minPart = 5 << 20

// parts uploads an object in two, or gives up in between.
func (c *client) parts(ctx context.Context, key string) {
	began, m := time.Now(), contentOf(c.random, minPart+c.random.IntN(64<<10))
	content := m.bytes()
	r := c.do(ctx, call{method: http.MethodPost, key: key, query: url.Values{"uploads": {""}}})
	var upload struct{ UploadId string }
	if !c.judge("parts: begin", key, began, r, r.ok() && xml.Unmarshal(r.body, &upload) == nil && upload.UploadId != "") {
		return
	}
	type part struct {
		PartNumber int
		ETag       string
	}
	var complete struct {
		XMLName xml.Name `xml:"CompleteMultipartUpload"`
		Part    []part
	}
	for i, body := range [][]byte{content[:minPart], content[minPart:]} {
		number := i + 1
		began = time.Now()
		r := c.do(ctx, call{
			method: http.MethodPut, key: key, body: body, form: forms[c.random.IntN(len(forms))],
			query: url.Values{"uploadId": {upload.UploadId}, "partNumber": {strconv.Itoa(number)}},
		})
		if !c.judge("parts: part", key, began, r, r.ok()) {
			return
		}
		complete.Part = append(complete.Part, part{number, r.header.Get("Etag")})
	}
	began = time.Now()
	if c.random.IntN(4) == 0 {
		r := c.do(ctx, call{method: http.MethodDelete, key: key, query: url.Values{"uploadId": {upload.UploadId}}})
		c.judge("parts: abort", key, began, r, r.ok())
		return
	}
	body, err := xml.Marshal(complete)
	if err != nil {
		panic(err) // of strings alone
	}
	r = c.do(ctx, call{method: http.MethodPost, key: key, query: url.Values{"uploadId": {upload.UploadId}}, body: body})
	if r.ok() && bytes.Contains(r.body, []byte("<Error>")) {
		r.status = http.StatusInternalServerError
	}
	c.run.report.bytes.Add(int64(m.size))
	c.wrote("parts: complete", key, began, r, object{contents: []made{m}})
}

// breakOff goes away in the middle of a body. Nothing of it may be there afterwards. The
// origin by itself keeps what came: it is the gateway that sees to it.
func (c *client) breakOff(ctx context.Context, key string) {
	if c.run.o.direct {
		return
	}
	began := time.Now()
	m := contentOf(c.random, 1+c.random.IntN(300<<10))
	r := c.do(ctx, call{method: http.MethodPut, key: key, body: m.bytes(), form: forms[c.random.IntN(len(forms))], breakOff: true})
	c.judge("put, broken off", key, began, r, r.err != nil || r.status >= http.StatusBadRequest)
	c.get(ctx, key)
}

// tamper sends other bytes than were signed. They are refused, and nothing of them may be
// there afterwards.
func (c *client) tamper(ctx context.Context, key string) {
	began := time.Now()
	m := contentOf(c.random, 1000+c.random.IntN(60<<10))
	form := []string{formHash, formSigned, formBoth}[c.random.IntN(3)]
	r := c.do(ctx, call{method: http.MethodPut, key: key, body: m.bytes(), form: form, tamper: true})
	c.judge("put of other bytes", key, began, r, r.is(http.StatusForbidden, "SignatureDoesNotMatch") ||
		r.is(http.StatusBadRequest, "XAmzContentSHA256Mismatch", "BadDigest", "IncompleteBody", "InvalidRequest"))
	c.get(ctx, key)
}

// foreign asks for what is another's, with another's secret, and with none.
func (c *client) foreign(ctx context.Context) {
	if c.run.o.direct {
		return // it is all its own
	}
	began := time.Now()
	r := c.do(ctx, call{method: http.MethodGet, key: "others/" + fmt.Sprint(c.random.IntN(9))})
	c.judge("refused: another's key", "", began, r, r.is(http.StatusForbidden, "AccessDenied"))
	thief := *c
	thief.session.SecretAccessKey = "stolen"
	r = thief.do(ctx, call{method: http.MethodGet, key: c.keys[0]})
	c.judge("refused: a wrong secret", "", began, r, r.is(http.StatusForbidden, "SignatureDoesNotMatch"))
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.run.gateway+"/"+c.run.bucket+"/"+escape(c.keys[0]), nil)
	if err != nil {
		panic(err) // of our own text
	}
	r = c.send(request)
	c.judge("refused: nobody", "", began, r, r.is(http.StatusForbidden, "AccessDenied"))
}
