package web

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
)

type document struct {
	Name   string            `json:"name"`
	Count  int               `json:"count"`
	Scopes []string          `json:"scopes"`
	Labels map[string]string `json:"labels"`
	Any    any               `json:"any"`
	Picky  picky             `json:"picky"`
}

type picky string

func (*picky) UnmarshalText([]byte) error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonNameInvalid, "not a name")
}

func jsonRequest(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPut, "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

func TestReadJSON(t *testing.T) {
	t.Parallel()
	var got document
	body := ` {"name": "a", "count": 3, "scopes": ["x", "x"], "labels": {"x": "x", "name": "y"}, "any": [{"a": 1}, {"a": 2}, []]} ` + "\n"
	if err := ReadJSON(jsonRequest(body), 1000, &got); err != nil {
		t.Fatal(err)
	}
	if got.Name != "a" || got.Count != 3 || len(got.Scopes) != 2 || got.Labels["name"] != "y" {
		t.Errorf("got %+v", got)
	}
}

type badBodyCase struct {
	body   string
	reason countersign.Reason
}

// badJSON are bodies that ReadJSON refuses, with the reason.
func badJSON() map[string]badBodyCase {
	const invalid, doubled, unknown, wrong = countersign.ReasonBodyInvalid, countersign.ReasonParameterDuplicated,
		countersign.ReasonFieldUnknown, countersign.ReasonParameterInvalid
	return map[string]badBodyCase{
		"empty":                   {"", invalid},
		"spaces":                  {"  ", invalid},
		"null":                    {"null", invalid},
		"array":                   {"[]", invalid},
		"text":                    {`"x"`, invalid},
		"number":                  {"1", invalid},
		"cut":                     {`{"name": "a"`, invalid},
		"comma at the end":        {`{"name": "a",}`, invalid},
		"comment":                 {`{/**/}`, invalid},
		"single quotes":           {`{'name': 'a'}`, invalid},
		"NaN":                     {`{"count": NaN}`, invalid},
		"second document":         {`{} {}`, invalid},
		"garbage behind":          {`{} x`, invalid},
		"bracket behind":          {`{}}`, invalid},
		"byte order mark":         {"\xef\xbb\xbf{}", invalid},
		"not UTF-8":               {"{\"name\": \"\xff\"}", invalid},
		"UTF-16":                  {"\xfe\xff\x00{\x00}", invalid},
		"deep":                    {strings.Repeat(`{"any":`, 40) + "1" + strings.Repeat("}", 40), invalid},
		"deep arrays":             {`{"any":` + strings.Repeat("[", 10000), invalid},
		"unknown":                 {`{"nam": "a"}`, unknown},
		"unknown, odd":            {`{"\" \u0000": "a"}`, unknown},
		"doubled":                 {`{"name": "a", "name": "b"}`, doubled},
		"doubled, escaped":        {`{"name": "a", "n\u0061me": "b"}`, doubled},
		"doubled, case":           {`{"name": "a", "NAME": "b"}`, doubled},
		"doubled, Kelvin":         {`{"labels": {"k": "a", "\u212a": "b"}}`, doubled},
		"doubled, long s":         {`{"scopes": [], "\u017fcopes": []}`, doubled},
		"doubled below":           {`{"any": [1, {"a": {"b": 1, "b": 2}}]}`, doubled},
		"doubled in unknown":      {`{"x": {"b": 1, "b": 2}}`, doubled},
		"doubled after an object": {`{"any": {}, "name": "", "any": []}`, doubled},
		"wrong type":              {`{"name": 1}`, wrong},
		"wrong type below":        {`{"scopes": [1]}`, wrong},
		"fraction":                {`{"count": 1.5}`, wrong},
		"overflow":                {`{"count": 99999999999999999999}`, wrong},
		"own unmarshalling":       {`{"picky": "x"}`, countersign.ReasonNameInvalid},
	}
}

// CVE-2025-59043 and CVE-2025-12044 of vulnerabilities.md 33: depth and size come first.
func TestReadJSONRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range badJSON() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var v document
			err := ReadJSON(jsonRequest(test.body), 1<<20, &v)
			if !errors.Is(err, countersign.Invalid) || countersign.ReasonOf(err) != test.reason {
				t.Errorf("got %v (%s)", err, countersign.ReasonOf(err))
			}
		})
	}
	if err := ReadJSON(jsonRequest(`{"name": "`+strings.Repeat("a", 100)+`"}`), 50, new(document)); !errors.Is(err, countersign.TooLarge) {
		t.Errorf("too large: %v", err)
	}
	for _, value := range []string{"", "text/json", "application/x-www-form-urlencoded", "application/json; charset=latin1", "application/problem+json"} {
		r := jsonRequest("{}")
		r.Header.Set("Content-Type", value)
		if err := ReadJSON(r, 50, new(document)); countersign.ReasonOf(err) != countersign.ReasonMediaType {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestWriteJSON(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	if err := WriteJSON(w, http.StatusCreated, map[string]string{"a": "<b>&"}); err != nil {
		t.Fatal(err)
	}
	h := w.Header()
	if w.Code != 201 || w.Body.String() != "{\"a\":\"<b>&\"}\n" || h.Get("Content-Type") != "application/json" || h.Get("Cache-Control") != "no-store" || h.Get("Content-Length") != "13" {
		t.Errorf("%d %v %s", w.Code, h, w.Body)
	}
	w = httptest.NewRecorder()
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "max-age=1")
	if err := WriteJSON(w, 200, 1); err != nil || w.Header().Get("Content-Type") != "application/problem+json" || w.Header().Get("Cache-Control") != "max-age=1" {
		t.Errorf("%v %v", err, w.Header())
	}
	w = httptest.NewRecorder()
	if err := WriteJSON(w, 200, func() {}); err == nil || w.Body.Len() != 0 {
		t.Errorf("what can't be encoded: %v, %q", err, w.Body)
	}
}

func FuzzReadJSON(f *testing.F) {
	for _, seed := range []string{`{"name":"a"}`, `{"any":[{},[1,null]]}`, `{"a":1,"a":2}`, `{`, `[[`, `{}{}`, `{"\ud800":1}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		start := time.Now()
		var v document
		err := parseJSON(body, &v)
		if err == nil && !json.Valid(body) {
			t.Errorf("%q is taken", body)
		}
		if err != nil && countersign.CodeOf(err) != countersign.Invalid {
			t.Errorf("%q: %v", body, err)
		}
		if len(body) < 1<<16 && time.Since(start) > 5*time.Second {
			t.Errorf("%d bytes take %s", len(body), time.Since(start))
		}
	})
}
