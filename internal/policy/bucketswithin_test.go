package policy_test

import (
	"slices"
	"testing"

	"github.com/countersign/countersign/internal/policy"
)

// A bucket is there for a session where role and policy together leave it a right.
func TestRuleD7BucketsWithin(t *testing.T) {
	t.Parallel()
	role := compile(t,
		policy.Permission{Bucket: "documents", Prefixes: []string{""}, Actions: []string{"put_object", "get_bucket_location"}},
		policy.Permission{Bucket: "archive", Prefixes: []string{"a/"}, Actions: []string{"get_object"}},
	)
	if got := role.BucketsWithin(nil); !slices.Equal(got, []string{"archive", "documents"}) {
		t.Errorf("without a policy: %v", got)
	}
	for text, want := range map[string][]string{
		`{"Effect":"Allow","Action":"s3:*","Resource":"*"}`:                                                         {"archive", "documents"},
		`{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::*/x"}`:                                  {"documents"},
		`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::doc*"}`:                                 nil, // not what the role may
		`{"Effect":"Allow","Action":"s3:PutObject","Resource":"arn:aws:s3:::documents"}`:                            nil, // names no key
		`{"Effect":"Allow","Action":"s3:GetBucketLocation","Resource":"arn:aws:s3:::documents"}`:                    {"documents"},
		`{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::archive/a/*"}`:                          {"archive"},
		`{"Effect":"Allow","Action":"s3:GetObjectAcl","Resource":"*"}`:                                              nil,
		allowAll + `{"Effect":"Deny","Action":"s3:*","Resource":"*"}`:                                               nil,
		allowAll + `{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::documents*"}`:                         {"archive"},
		allowAll + `{"Effect":"Deny","Action":"s3:*","Resource":["arn:aws:s3:::archive","arn:aws:s3:::archive/*"]}`: {"documents"},
		allowAll + `{"Effect":"Deny","Action":"s3:*","Resource":"arn:aws:s3:::archive"}`:                            {"archive", "documents"},
		allowAll + `{"Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::archive/a/b"}`:                {"archive", "documents"},
		allowAll + `{"Effect":"Deny","Action":"s3:GetObject","Resource":"arn:aws:s3:::archive/*"}`:                  {"documents"},
	} {
		session, err := policy.ParseSessionPolicy(`{"Version":"2012-10-17","Statement":[` + text + `]}`)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got := role.BucketsWithin(session); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

const allowAll = `{"Effect":"Allow","Action":"s3:*","Resource":"*"},`
