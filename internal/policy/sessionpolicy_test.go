package policy_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
)

// one makes a policy of one statement.
func one(statement string) string {
	return `{"Version":"2012-10-17","Statement":[{` + statement + `}]}`
}

const anyGet = `"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::documents/*"`

func session(t testing.TB, text string) *policy.SessionPolicy {
	t.Helper()
	s, err := policy.ParseSessionPolicy(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return s
}

func TestRuleD7SessionPolicyAllows(t *testing.T) {
	t.Parallel()
	type ask struct{ action, bucket, key string }
	get := func(key string) ask { return ask{"get_object", "documents", key} }
	list := func(prefix string) ask { return ask{"list_bucket", "documents", prefix} }
	tests := map[string]struct {
		text    string
		yes, no []ask
	}{
		"one action": {
			one(anyGet),
			[]ask{get("a"), get("a/b"), get(""), {"head_object", "documents", "a"}},
			[]ask{{"get_object", "documents2", "a"}, {"get_object", "document", "s/a"}, {"put_object", "documents", "a"}, {"get_object_version", "documents", "a"}, list("")},
		},
		"capitals of actions do not matter":   {one(`"Effect":"Allow","Action":"S3:getobject","Resource":"*"`), []ask{get("a")}, []ask{list("")}},
		"wildcards of actions":                {one(`"Effect":"Allow","Action":["s3:Get*","s3:?utObject"],"Resource":"*"`), []ask{get("a"), {"put_object", "b", "a"}, {"upload_part", "b", "a"}, {"get_object_acl", "b", "a"}, {"get_bucket_location", "b", ""}}, []ask{list(""), {"put_object_acl", "b", "a"}, {"delete_object", "b", "a"}}},
		"every action":                        {one(`"Effect":"Allow","Action":"*","Resource":["arn:aws:s3:::documents","arn:aws:s3:::documents/*"]`), []ask{get("a"), list("x"), {"bypass_governance_retention", "documents", "a"}}, []ask{{"get_object", "other", "a"}, {"list_bucket", "other", ""}}},
		"keys are not the bucket":             {one(`"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::documents/*"`), []ask{get("a")}, []ask{list(""), {"get_bucket_location", "documents", ""}}},
		"the bucket is not its keys":          {one(`"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::documents"`), []ask{list("a")}, []ask{get("a")}},
		"stars cross slashes":                 {one(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::documents/*/x"`), []ask{get("a/x"), get("a/b/x"), get("/x")}, []ask{get("a/y"), get("x"), get("a/xx")}},
		"question marks":                      {one(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::doc?ments/??"`), []ask{get("ab"), get("äb")}, []ask{get("a"), get("abc")}},
		"capitals of keys do":                 {one(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::documents/A*"`), []ask{get("Ab")}, []ask{get("ab")}},
		"deny wins":                           {`{"Statement":[{` + anyGet + `},{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::documents/secret/*"}]}`, []ask{get("a")}, []ask{get("secret/a")}},
		"deny wins in any order":              {`{"Statement":[{"Effect":"Deny","Action":"s3:Get*","Resource":"arn:aws:s3:::*secret*"},{` + anyGet + `}]}`, []ask{get("a")}, []ask{get("my-secret")}},
		"only deny":                           {one(`"Effect":"Deny","Action":"s3:PutObject","Resource":"*"`), nil, []ask{get("a"), {"put_object", "b", "a"}}},
		"one statement without a list":        {`{"Statement":{` + anyGet + `}}`, []ask{get("a")}, nil},
		"old version":                         {`{"Version":"2008-10-17","Id":"x","Statement":[{"Sid":"A 1",` + anyGet + `}]}`, []ask{get("a")}, nil},
		"s3:prefix is one of":                 {one(`"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::documents","Condition":{"StringEquals":{"s3:prefix":["","a/"]}}`), []ask{list(""), list("a/")}, []ask{list("a"), list("a/b"), {"list_bucket_versions", "documents", ""}}},
		"s3:prefix is like":                   {one(`"Effect":"Allow","Action":["s3:ListBucket","s3:ListBucketVersions"],"Resource":"arn:aws:s3:::documents","Condition":{"StringLike":{"s3:prefix":"a/*"}}`), []ask{list("a/"), list("a/b/c"), {"list_bucket_versions", "documents", "a/"}}, []ask{list(""), list("a")}},
		"both operators must hold":            {one(`"Effect":"Allow","Action":"s3:ListBucket","Resource":"*","Condition":{"StringLike":{"s3:prefix":"a*"},"StringEquals":{"s3:prefix":["a1","b1"]}}`), []ask{list("a1")}, []ask{list("a2"), list("b1")}},
		"deny by prefix":                      {`{"Statement":[{"Effect":"Allow","Action":"s3:List*","Resource":"*"},{"Effect":"Deny","Action":"s3:ListBucket","Resource":"*","Condition":{"StringLike":{"s3:prefix":"secret/*"}}}]}`, []ask{list(""), list("a/")}, []ask{list("secret/")}},
		"statements are a union":              {`{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::documents/a/*"},{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::documents/b/*"}]}`, []ask{get("a/x"), get("b/x")}, []ask{get("c/x")}},
		"resources go with their own actions": {`{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::documents/a/*"},{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::documents/b/*"}]}`, []ask{get("a/x")}, []ask{get("b/x"), {"put_object", "documents", "a/x"}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := session(t, tt.text)
			sealed, err := policy.OpenSessionPolicy(s.String())
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []*policy.SessionPolicy{s, sealed} {
				for _, a := range tt.yes {
					if !s.Allow(a.action, a.bucket, a.key) {
						t.Errorf("%v is not allowed", a)
					}
				}
				for _, a := range tt.no {
					if s.Allow(a.action, a.bucket, a.key) {
						t.Errorf("%v is allowed", a)
					}
				}
				if s.Allow("", "documents", "a") || s.Allow("get_objects", "documents", "a") || s.Allow("get_object", "", "a") {
					t.Error("nothing is allowed")
				}
			}
		})
	}
}

func TestRuleD7WhatIsNotEnforcedIsRefused(t *testing.T) {
	t.Parallel()
	list := `"Effect":"Allow","Action":"s3:ListBucket","Resource":"*","Condition":`
	tests := map[string]string{
		"empty":                 ``,
		"no JSON":               `{`,
		"text":                  `"Allow"`,
		"null":                  `null`,
		"list":                  `[]`,
		"two values":            one(anyGet) + `{}`,
		"empty object":          `{}`,
		"no statement":          `{"Version":"2012-10-17"}`,
		"no statements":         `{"Version":"2012-10-17","Statement":[]}`,
		"another version":       `{"Version":"2012-10-18","Statement":[{` + anyGet + `}]}`,
		"version is a number":   `{"Version":2012,"Statement":[{` + anyGet + `}]}`,
		"unknown element":       `{"Statement":[{` + anyGet + `}],"Foo":"x"}`,
		"small letters":         `{"statement":[{` + anyGet + `}]}`,
		"statement twice":       `{"Statement":[{` + anyGet + `}],"Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`,
		"effect twice":          one(`"Effect":"Deny",` + anyGet),
		"effect twice, escaped": one(`"\u0045ffect":"Deny",` + anyGet),
		"no effect":             one(`"Action":"s3:GetObject","Resource":"*"`),
		"effect in small":       one(`"Effect":"allow","Action":"s3:GetObject","Resource":"*"`),
		"effect is a list":      one(`"Effect":["Allow"],"Action":"s3:GetObject","Resource":"*"`),
		"no action":             one(`"Effect":"Allow","Resource":"*"`),
		"empty action":          one(`"Effect":"Allow","Action":"","Resource":"*"`),
		"no actions":            one(`"Effect":"Allow","Action":[],"Resource":"*"`),
		"NotAction":             one(`"Effect":"Allow","NotAction":"s3:PutObject","Resource":"*"`),
		"NotAction beside":      one(anyGet + `,"NotAction":"s3:PutObject"`),
		"action is a number":    one(`"Effect":"Allow","Action":1,"Resource":"*"`),
		"action is an object":   one(`"Effect":"Allow","Action":{"s3:GetObject":1},"Resource":"*"`),
		"unknown action":        one(`"Effect":"Allow","Action":"s3:PutBucketPolicy","Resource":"*"`),
		"one unknown action":    one(`"Effect":"Deny","Action":["s3:GetObject","s3:Foo"],"Resource":"*"`),
		"another service":       one(`"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"`),
		"every service's get":   one(`"Effect":"Allow","Action":"*:GetObject","Resource":"*"`),
		"our own word":          one(`"Effect":"Allow","Action":"get_object","Resource":"*"`),
		"no resource":           one(`"Effect":"Allow","Action":"s3:GetObject"`),
		"NotResource":           one(`"Effect":"Deny","Action":"s3:*","NotResource":"arn:aws:s3:::documents/*"`),
		"resource without ARN":  one(`"Effect":"Allow","Action":"s3:GetObject","Resource":"documents/*"`),
		"resource elsewhere":    one(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:sqs:::q"`),
		"resource in China":     one(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws-cn:s3:::documents/*"`),
		"resource with account": one(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3::123456789012:documents/*"`),
		"wild ARN":              one(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:*:s3:::documents/*"`),
		"empty resource":        one(`"Effect":"Allow","Action":"s3:GetObject","Resource":""`),
		"no bucket":             one(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::"`),
		"a slash as bucket":     one(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::/x"`),
		"access point":          one(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:us-east-1:123456789012:accesspoint/x"`),
		"variable":              one(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::documents/${aws:username}/*"`),
		"escape":                one(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::documents/${*}"`),
		"control character":     one(`"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::documents/\n"`),
		"principal":             one(anyGet + `,"Principal":"*"`),
		"sid is a number":       one(anyGet + `,"Sid":1`),
		"condition on keys":     one(anyGet + `,"Condition":{"StringLike":{"s3:prefix":"a"}}`),
		"condition on both":     one(`"Effect":"Allow","Action":["s3:ListBucket","s3:GetObject"],"Resource":"*","Condition":{"StringLike":{"s3:prefix":"a"}}`),
		"condition of uploads":  one(`"Effect":"Allow","Action":"s3:ListBucketMultipartUploads","Resource":"*","Condition":{"StringLike":{"s3:prefix":"a"}}`),
		"empty condition":       one(list + `{}`),
		"empty operator":        one(list + `{"StringLike":{}}`),
		"another operator":      one(list + `{"StringNotLike":{"s3:prefix":"a"}}`),
		"if exists":             one(list + `{"StringLikeIfExists":{"s3:prefix":"a"}}`),
		"for any value":         one(list + `{"ForAnyValue:StringLike":{"s3:prefix":"a"}}`),
		"another key":           one(list + `{"StringLike":{"aws:SourceIp":"10.0.0.0/8"}}`),
		"another key beside":    one(list + `{"StringLike":{"s3:prefix":"a","s3:delimiter":"/"}}`),
		"key in capitals":       one(list + `{"StringLike":{"S3:Prefix":"a"}}`),
		"no values":             one(list + `{"StringLike":{"s3:prefix":[]}}`),
		"value is null":         one(list + `{"StringLike":{"s3:prefix":null}}`),
		"condition is a list":   one(list + `[]`),
		"too deep":              `{"Statement":` + strings.Repeat("[", 30) + strings.Repeat("]", 30) + `}`,
		"too many statements":   `{"Statement":[` + strings.Repeat(`{},`, 40) + `{}]}`,
		"not UTF-8":             one(strings.Replace(anyGet, "documents", "doc\xff", 1)),
		"byte order mark":       "\ufeff" + one(anyGet),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := policy.ParseSessionPolicy(text)
			if s != nil || !errors.Is(err, countersign.BadPolicy) || countersign.ReasonOf(err) != countersign.ReasonSessionPolicy {
				t.Errorf("got %v, %v", s, err)
			}
		})
	}
	if _, err := policy.ParseSessionPolicy(one(anyGet) + strings.Repeat(" ", policy.MaxSessionPolicy)); !errors.Is(err, countersign.TooLarge) {
		t.Errorf("too long: %v", err)
	}
}

// Hole 40: a session policy that widens, or that is not asked.
func TestVulnerability40RightsAreTheIntersection(t *testing.T) {
	t.Parallel()
	actions := []string{"get_object", "head_object", "put_object", "upload_part", "list_bucket", "delete_object", "get_bucket_location"}
	rapid.Check(t, func(r *rapid.T) {
		var list []policy.Permission
		for range rapid.IntRange(0, 3).Draw(r, "permissions") {
			list = append(list, policy.Permission{
				Bucket:   rapid.SampledFrom([]string{"b", "c"}).Draw(r, "bucket"),
				Prefixes: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"", "a/", "a/b/", "x"}), 1, 3, rapid.ID[string]).Draw(r, "prefixes"),
				Actions:  rapid.SliceOfNDistinct(rapid.SampledFrom(actions), 1, 4, rapid.ID[string]).Draw(r, "actions"),
			})
		}
		var statements []string
		for range rapid.IntRange(1, 3).Draw(r, "statements") {
			statements = append(statements, fmt.Sprintf(`{"Effect":%q,"Action":%q,"Resource":%q}`,
				rapid.SampledFrom([]string{"Allow", "Deny"}).Draw(r, "effect"),
				rapid.SampledFrom([]string{"s3:*", "s3:GetObject", "s3:Put*", "s3:ListBucket", "*"}).Draw(r, "action"),
				rapid.SampledFrom([]string{"*", "arn:aws:s3:::b/*", "arn:aws:s3:::*/a/*", "arn:aws:s3:::b", "arn:aws:s3:::?/x"}).Draw(r, "resource")))
		}
		p, err := policy.CompilePermissions(list)
		if err != nil {
			r.Fatal(err)
		}
		s, err := policy.ParseSessionPolicy(`{"Statement":[` + strings.Join(statements, ",") + `]}`)
		if err != nil {
			r.Fatal(err)
		}
		for _, action := range actions {
			for _, key := range []string{"", "a/", "a/b/c", "x", "y"} {
				both := p.Allow(action, "b", key) && s.Allow(action, "b", key)
				if got := p.AllowWithin(s, action, "b", key); got != both {
					r.Fatalf("%s of %q: %t", action, key, got)
				}
				if p.AllowWithin(&policy.SessionPolicy{}, action, "b", key) {
					r.Fatal("an empty policy allows")
				}
				if p.AllowWithin(nil, action, "b", key) != p.Allow(action, "b", key) {
					r.Fatal("without a policy the role decides")
				}
			}
		}
	})
	var none *policy.SessionPolicy
	if none.Allow("get_object", "b", "k") || none.String() != "" {
		t.Error("nil allows")
	}
}

func TestOpenSessionPolicyRefuses(t *testing.T) {
	t.Parallel()
	good := session(t, `{"Statement":[{"Effect":"Allow","Action":"s3:ListBucket","Resource":["arn:aws:s3:::b","*"],"Condition":{"StringLike":{"s3:prefix":["a/*","tab"]},"StringEquals":{"s3:prefix":""}}},{"Effect":"Deny","Action":"*","Resource":"*"}]}`).String()
	if again, err := policy.OpenSessionPolicy(good); err != nil || again.String() != good {
		t.Errorf("%q: %v, %v", good, again, err)
	}
	if s, err := policy.OpenSessionPolicy(""); s != nil || err != nil {
		t.Errorf("none: %v, %v", s, err)
	}
	for _, text := range []string{
		"A", "A1", "A1\t", "A0\tr*", "X1\tr*", "a1\tr*", "A1\tx*", "A1\tea", "Ag\tr*", "A01\tr*", "A1\tr*\n", "\nA1\tr*", "A1 \tr*", "A+1\tr*",
		"A1\tr*\tr\xff", "A11111111111111111\tr*", "A1\tla\tr*", good + "\n" + strings.Repeat("x", 10000), " " + good,
	} {
		if s, err := policy.OpenSessionPolicy(text); s != nil || !errors.Is(err, countersign.BadToken) {
			t.Errorf("%q: %v, %v", text, s, err)
		}
	}
}

// The sealed form names actions by their place, so the places never change.
func TestPlacesOfActionsNeverChange(t *testing.T) {
	t.Parallel()
	want := strings.Fields(`get_object head_object get_object_version put_object create_multipart_upload upload_part complete_multipart_upload
		abort_multipart_upload delete_object delete_object_version list_bucket list_bucket_versions list_bucket_multipart_uploads
		list_multipart_upload_parts get_bucket_location get_object_tagging get_object_version_tagging put_object_tagging
		put_object_version_tagging delete_object_tagging delete_object_version_tagging get_object_acl get_object_version_acl put_object_acl
		put_object_version_acl get_object_retention put_object_retention get_object_legal_hold put_object_legal_hold bypass_governance_retention
		use_customer_key put_object_website_redirect`)
	actions := policy.S3Actions()
	if len(actions) < len(want) || len(actions) > 64 {
		t.Fatalf("%d actions", len(actions))
	}
	for i, name := range want {
		if actions[i].Name != name {
			t.Errorf("%d: %s, and it was %s", i, actions[i].Name, name)
		}
	}
}

func FuzzParseSessionPolicy(f *testing.F) {
	for _, seed := range []string{one(anyGet), `{"Statement":{` + anyGet + `}}`, one(`"Effect":"Deny","Action":["s3:*"],"Resource":["*"]`),
		one(`"Effect":"Allow","Action":"s3:ListBucket","Resource":"*","Condition":{"StringLike":{"s3:prefix":["a/*"]}}`), `[[[[`, `{"Statement":[]}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := policy.ParseSessionPolicy(text)
		if err != nil {
			return
		}
		again, err := policy.OpenSessionPolicy(s.String())
		if err != nil || again.String() != s.String() {
			t.Fatalf("%q: %v", s.String(), err)
		}
		for _, action := range []string{"get_object", "list_bucket", "put_object"} {
			if s.Allow(action, "documents", "a/b") != again.Allow(action, "documents", "a/b") {
				t.Errorf("%q decides otherwise once it was sealed", text)
			}
		}
	})
}

func FuzzOpenSessionPolicy(f *testing.F) {
	f.Add("A1\trdocuments/*\nD3fffffff\tr*")
	f.Add("A400\trb\tea\tlb*")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := policy.OpenSessionPolicy(text); err == nil && s.String() != text {
			t.Errorf("%q is read as %q", text, s)
		}
	})
}

func BenchmarkAllowWithin(b *testing.B) {
	p := compile(b, permission([]string{"a/", "b/", "resumes/acme/"}, "list_bucket", "put_object", "get_object"))
	s := session(b, one(anyGet))
	b.ReportAllocs()
	for b.Loop() {
		if !p.AllowWithin(s, "get_object", "documents", "resumes/acme/cv.pdf") {
			b.Fatal("denied")
		}
	}
}
