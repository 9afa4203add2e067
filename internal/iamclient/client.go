package iamclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/countersign/countersign"
)

// BasePath is where the IAM API is served.
const BasePath = "/api/iam/v1"

// maxAnswer bounds what is read of an answer, in bytes: 1000 events fit many times.
const maxAnswer = 16 << 20

// Config of a [Client]: exactly one of Socket and BaseURL.
type Config struct {
	// Socket is the path of the server's Unix socket, DATA/admin.sock.
	Socket string
	// BaseURL is scheme and host of a server ("https://auth.example.com"), without
	// /api/iam/v1.
	BaseURL string
	// HTTPClient sends the requests to BaseURL and brings the credentials; nil = a
	// plain client. It is refused beside Socket.
	HTTPClient *http.Client
	// As says as whom, for people; see [Client.As].
	As string
}

// Client calls the IAM API. Safe for concurrent use.
//
// Errors of every method: the server's own; countersign.Unavailable when there is no
// server or no answer; countersign.Denied when the socket is not ours to open;
// countersign.Upstream for an answer that is not understood.
type Client struct {
	base   string
	socket string
	as     string
	http   *http.Client
}

// New checks cfg; it connects to nothing.
//
// Errors: countersign.Invalid.
func New(cfg Config) (*Client, error) {
	refuse := func(msg string) (*Client, error) {
		return nil, countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid, msg)
	}
	switch {
	case (cfg.Socket == "") == (cfg.BaseURL == ""):
		return refuse("name either the server's socket or its URL")
	case cfg.Socket != "" && cfg.HTTPClient != nil:
		return refuse("a socket takes no HTTP client")
	case cfg.Socket != "":
		return &Client{base: "http://localhost", socket: cfg.Socket, http: socketClient(cfg.Socket)}, nil
	}
	base, err := url.Parse(cfg.BaseURL)
	if err != nil || base.Scheme != "https" && base.Scheme != "http" || base.Host == "" ||
		base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return refuse("the server's URL is https://host[:port]")
	}
	client := cfg.HTTPClient
	if client == nil {
		client = &http.Client{CheckRedirect: noRedirect}
	}
	return &Client{base: strings.TrimRight(cfg.BaseURL, "/"), as: cfg.As, http: client}, nil
}

// Where says which server this talks to, for people: "unix:PATH" or the base URL.
func (c *Client) Where() string {
	if c.socket != "" {
		return "unix:" + c.socket
	}
	return c.base
}

// As says as whom this calls; "" = nothing was said.
func (c *Client) As() string { return c.as }

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func socketClient(path string) *http.Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{
		CheckRedirect: noRedirect,
		Transport: &http.Transport{
			// No Proxy: what goes to the socket goes nowhere else.
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialSocket(ctx, dialer, path)
			},
			MaxIdleConns:    4,
			IdleConnTimeout: 30 * time.Second,
		},
	}
}

// maxSocketPath is what a Unix socket address holds on Linux, less its final zero.
const maxSocketPath = 107

// dialSocket connects to path. One that is too long for an address is reached through
// its open folder, whose descriptor makes a short one, as the server listens on it.
func dialSocket(ctx context.Context, dialer *net.Dialer, path string) (net.Conn, error) {
	if len(path) <= maxSocketPath {
		return dialer.DialContext(ctx, "unix", path)
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = folder.Close() }()
	return dialer.DialContext(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(path)))
}

// call is one request. The path is below [BasePath], or rootPath is the whole one.
type call struct {
	method, path, rootPath string
	query                  url.Values
	ifMatch                string
	authorization          string     // instead of what the HTTP client brings
	body                   any        // sent as JSON; nil = no body
	form                   url.Values // sent as a form instead
}

func (c *Client) request(ctx context.Context, in call) (*http.Request, error) {
	target := c.base + BasePath + in.path
	if in.rootPath != "" {
		target = c.base + in.rootPath
	}
	if len(in.query) > 0 {
		target += "?" + in.query.Encode()
	}
	var body io.Reader
	contentType := ""
	switch {
	case in.form != nil:
		body, contentType = strings.NewReader(in.form.Encode()), "application/x-www-form-urlencoded"
	case in.body != nil:
		document, err := json.Marshal(in.body)
		if err != nil {
			return nil, fmt.Errorf("encode request: %w", err)
		}
		body, contentType = bytes.NewReader(document), "application/json"
	}
	r, err := http.NewRequestWithContext(ctx, in.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	r.Header.Set("Accept", "application/json, "+ProblemType)
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if in.authorization != "" {
		r.Header.Set("Authorization", in.authorization)
	}
	if in.ifMatch != "" {
		r.Header.Set("If-Match", in.ifMatch)
	}
	return r, nil
}

// do sends one request and decodes the answer into out, unless that is nil.
func (c *Client) do(ctx context.Context, in call, out any) error {
	r, err := c.request(ctx, in)
	if err != nil {
		return err
	}
	response, err := c.http.Do(r)
	if err != nil {
		return c.noAnswer(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return c.noAnswer(err)
	}
	if len(body) > maxAnswer {
		return countersign.NewError(countersign.Upstream, countersign.ReasonBodyTooLarge, "the server's answer is too large")
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return decodeError(response, body)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return countersign.WrapError(countersign.Upstream, countersign.ReasonBodyInvalid,
			"the server's answer is not understood: is "+c.Where()+" a Countersign server of this version?", err)
	}
	return nil
}

// noAnswer says why there is none, in words that tell what to do.
func (c *Client) noAnswer(err error) error {
	// What has a token or a signature made for the request may fail before anybody is asked: a
	// file that isn't there says nothing of the server then.
	absent := c.socket != "" && errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
	var ours *countersign.Error
	switch {
	case absent && c.socket != "":
		return countersign.WrapError(countersign.Unavailable, "", "no server: start countersign serve", err)
	case absent:
		return countersign.WrapError(countersign.Unavailable, "", "no server at "+c.base, err)
	case c.socket != "" && errors.Is(err, fs.ErrPermission):
		return countersign.WrapError(countersign.Denied, countersign.ReasonNotAdministrator,
			"the data folder belongs to another user: run this as the user of countersign serve", err)
	case errors.As(err, &ours):
		return fmt.Errorf("ask %s: %w", c.Where(), err)
	default:
		return countersign.WrapError(countersign.Unavailable, "", "no answer from "+c.Where(), err)
	}
}
