package policy_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/policy"
)

// awsDocument is a second implementation of what IAM does with a policy.
type awsDocument struct {
	Statement []struct {
		Effect                        string
		Action, Resource, NotResource []string
		Condition                     map[string]map[string][]string
	}
}

func (d *awsDocument) allows(action, bucket, key string, list, ofBucket bool) bool {
	resource := "arn:aws:s3:::" + bucket
	if !ofBucket {
		resource += "/" + key
	}
	allowed := false
	for _, s := range d.Statement {
		hit := func(globs []string) bool {
			return slices.ContainsFunc(globs, func(g string) bool { return iamLike(g, resource) })
		}
		if !slices.ContainsFunc(s.Action, func(a string) bool { return a == "*" || a == action }) ||
			s.Resource != nil && !hit(s.Resource) || s.NotResource != nil && hit(s.NotResource) {
			continue
		}
		holds := true
		for operator, keys := range s.Condition {
			values := keys["s3:prefix"]
			equal, like := slices.Contains(values, key), slices.ContainsFunc(values, func(g string) bool { return iamLike(g, key) })
			switch operator {
			case "StringEquals":
				holds = holds && list && equal
			case "StringLike":
				holds = holds && list && like
			case "StringNotEquals":
				holds = holds && (!list || !equal)
			case "StringNotLike":
				holds = holds && (!list || !like)
			default:
				panic(operator)
			}
		}
		if !holds {
			continue
		}
		if s.Effect == "Deny" {
			return false
		}
		allowed = true
	}
	return allowed
}

// iamLike matches by recursion: another way than the code's.
func iamLike(glob, text string) bool {
	for _, literal := range []string{"${*}", "${?}", "${$}"} {
		if strings.HasPrefix(glob, literal) {
			return text != "" && text[0] == literal[2] && iamLike(glob[len(literal):], text[1:])
		}
	}
	switch {
	case glob == "":
		return text == ""
	case glob[0] == '*':
		return iamLike(glob[1:], text) || text != "" && iamLike(glob, text[1:])
	case text == "":
		return false
	}
	return (glob[0] == '?' || glob[0] == text[0]) && iamLike(glob[1:], text[1:])
}

// TestRuleD9PolicyForAWS holds that AWS, by our text, allows exactly what the role and the
// session policy allow together.
func TestRuleD9PolicyForAWS(t *testing.T) {
	t.Parallel()
	prefixes := []string{"", "a/", "a/b/", "a/x", "b/", "a$/"}
	keys := []string{"a/", "a/1", "a/b/", "a/b/2", "a/x", "b/", "b/1", "c", "a$/1", ""}
	names := []string{"get_object", "put_object", "delete_object", "list_bucket", "get_bucket_location"}
	iam := map[string]string{"get_object": "s3:GetObject", "put_object": "s3:PutObject", "delete_object": "s3:DeleteObject",
		"list_bucket": "s3:ListBucket", "get_bucket_location": "s3:GetBucketLocation"}
	statements := []string{
		`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::one/a/*"}`,
		`{"Effect":"Allow","Action":["s3:GetObject","s3:PutObject"],"Resource":["arn:aws:s3:::one/a/b/*","arn:aws:s3:::two/?"]}`,
		`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`,
		`{"Effect":"Deny","Action":"s3:PutObject","Resource":"arn:aws:s3:::one/*1"}`,
		`{"Effect":"Allow","Action":"s3:ListBucket","Resource":"arn:aws:s3:::one","Condition":{"StringLike":{"s3:prefix":["a/*"]}}}`,
		`{"Effect":"Deny","Action":"s3:ListBucket","Resource":"*","Condition":{"StringEquals":{"s3:prefix":"a/b/"}}}`,
		`{"Effect":"Allow","Action":"s3:GetBucketLocation","Resource":"arn:aws:s3:::one"}`,
	}
	rapid.Check(t, func(t *rapid.T) {
		var list []policy.Permission
		for range rapid.IntRange(1, 3).Draw(t, "permissions") {
			list = append(list, policy.Permission{
				Bucket:   rapid.SampledFrom([]string{"one", "two"}).Draw(t, "bucket"),
				Prefixes: rapid.SliceOfNDistinct(rapid.SampledFrom(prefixes), 1, 3, rapid.ID[string]).Draw(t, "prefixes"),
				Actions:  rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 4, rapid.ID[string]).Draw(t, "actions"),
			})
		}
		p, err := policy.CompilePermissions(list)
		if err != nil {
			t.Skip(err)
		}
		if p, err = p.Resolve(nil); err != nil {
			t.Fatal(err)
		}
		var session *policy.SessionPolicy
		if rapid.Bool().Draw(t, "session policy") {
			text := `{"Version":"2012-10-17","Statement":[` + strings.Join(rapid.SliceOfNDistinct(rapid.SampledFrom(statements), 1, 4, rapid.ID[string]).Draw(t, "statements"), ",") + `]}`
			if session, err = policy.ParseSessionPolicy(text); err != nil {
				t.Fatal(err)
			}
		}
		text, err := p.AWSPolicy("aws", session)
		if errors.Is(err, countersign.BadPolicy) || errors.Is(err, countersign.TooLarge) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		var d awsDocument
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			for _, bucket := range []string{"one", "two", "three"} {
				for _, key := range keys {
					ofBucket := name == "list_bucket" || name == "get_bucket_location"
					if key == "" && !ofBucket {
						continue
					}
					want := p.AllowWithin(session, name, bucket, key)
					if got := d.allows(iam[name], bucket, key, name == "list_bucket", ofBucket); got != want {
						t.Fatalf("%s %s/%s: AWS %v, we %v\n%+v\n%s", name, bucket, key, got, want, p, text)
					}
				}
			}
		}
	})
}

func TestRuleD9WhatCantBeSaidToAWS(t *testing.T) {
	t.Parallel()
	for name, list := range map[string][]policy.Permission{
		"head without get":             {{Bucket: "b", Prefixes: []string{"a/"}, Actions: []string{"head_object"}}},
		"a part of an upload":          {{Bucket: "b", Prefixes: []string{"a/"}, Actions: []string{"upload_part"}}},
		"uploads by prefix":            {{Bucket: "b", Prefixes: []string{"a/"}, Actions: []string{"list_bucket_multipart_uploads"}}},
		"more than AWS takes (length)": {{Bucket: "b", Prefixes: []string{strings.Repeat("x", 900) + "/", strings.Repeat("y", 900) + "/", strings.Repeat("z", 900) + "/"}, Actions: []string{"get_object"}}},
	} {
		p, err := policy.CompilePermissions(list)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := p.AWSPolicy("aws", nil); !errors.Is(err, countersign.BadPolicy) && !errors.Is(err, countersign.TooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	none, err := (policy.Permissions)(nil).AWSPolicy("aws-cn", nil)
	if err != nil || !strings.Contains(none, `"Deny"`) || strings.Contains(none, `"Allow"`) {
		t.Errorf("no permission: %s, %v", none, err)
	}
}
