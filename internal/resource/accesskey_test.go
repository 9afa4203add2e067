package resource_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/resource"
)

func TestAccessKeyDocument(t *testing.T) {
	t.Parallel()
	const text = "kind: AccessKey\nname: uploader\ntenant: acme\nservice: document-service\nrole: writer\naccess_key_id: AKIAABCDEFGHIJ234567\nexpires_at: 2026-04-01T01:00:00+01:00\n"
	d := oneBucket(t, text)
	want := &resource.AccessKey{Service: "document-service", Role: "writer", AccessKeyID: "AKIAABCDEFGHIJ234567", ExpiresAt: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)}
	if diff := cmp.Diff(want, d.AccessKey); diff != "" {
		t.Error(diff)
	}
	written, err := d.YAML()
	if err != nil {
		t.Fatal(err)
	}
	if again := oneBucket(t, string(written)); !again.AccessKey.Covers(want) || again.Tenant != "acme" {
		t.Errorf("%s", written)
	}
	bare := oneBucket(t, "kind: AccessKey\nname: uploader\nservice: document-service\nrole: writer\n").AccessKey
	if !want.Covers(bare) || bare.Covers(want) {
		t.Error("what is not said is not compared, and only that")
	}
}

func TestAccessKeyDocumentRefuses(t *testing.T) {
	t.Parallel()
	const good = "kind: AccessKey\nname: uploader\nservice: a\nrole: b\n"
	for name, test := range map[string]struct{ text, path, says string }{
		"no service":   {"kind: AccessKey\nname: uploader\nrole: b\n", "service", "is missing"},
		"no role":      {"kind: AccessKey\nname: uploader\nservice: a\n", "role", "is missing"},
		"bad service":  {"kind: AccessKey\nname: uploader\nservice: A\nrole: b\n", "service", "characters"},
		"a pattern":    {"kind: AccessKey\nname: uploader\nservice: a\nrole: \"b*\"\n", "role", "characters"},
		"a secret":     {good + "secret_access_key: SeCrEt\n", "secret_access_key", "no place"},
		"no time":      {good + "expires_at: tomorrow\n", "expires_at", "a time"},
		"a number":     {good + "expires_at: 1\n", "expires_at", "text"},
		"a duration":   {good + "expires: 90d\n", "expires", "expires_at"},
		"shared":       {good + "shared_with: [x]\n", "shared_with", "not served"},
		"another kind": {good + "anonymous: true\n", "anonymous", "unknown field"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(test.text)
			wantOneProblem(t, err, test.path, test.says)
		})
	}
}
