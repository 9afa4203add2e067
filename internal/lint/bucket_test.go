package lint_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/lint"
	"github.com/countersign/countersign/internal/resource"
)

const (
	inDir      = "kind: Bucket\nname: documents\norigin: {dir: ./data/documents}\n"
	inS3       = "kind: Bucket\nname: documents\norigin: {s3: {endpoint: \"https://s3.example.com\", bucket: b-1, region: r, credentials: ambient}}\n"
	writerRole = "---\nkind: Role\nname: writer\ntrust: [{service: {names: [a]}}]\npermissions: [{bucket: documents, prefixes: [\"\"], actions: [get_object]}]\n"
)

// rulesOf returns the rules that documents break, with where.
func rulesOf(t *testing.T, text string, others lint.Lookup) (found []string) {
	t.Helper()
	documents, err := resource.Parse([]resource.File{{Name: "f", Content: []byte(text)}})
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	for _, f := range lint.Check(documents, others) {
		if f.Severity != lint.Warning {
			t.Errorf("%+v is no warning", f)
		}
		found = append(found, f.Rule+" "+f.Path)
	}
	slices.Sort(found)
	return found
}

func TestBucketRules(t *testing.T) {
	t.Parallel()
	known := lint.Lookup{Buckets: []*resource.Document{}}
	other := func(rest string) string { return "---\nkind: Bucket\nname: other\norigin: " + rest + "\n" }
	s3 := func(endpoint, bucket, prefix string) string {
		return other(`{s3: {endpoint: "` + endpoint + `", bucket: ` + bucket + `, region: r, prefix: "` + prefix + `", credentials: ambient}}`)
	}
	for name, test := range map[string]struct {
		text   string
		others lint.Lookup
		want   []string
	}{
		"plain":             {inDir, known, nil},
		"public":            {inDir + "anonymous: true\n", known, []string{"bucket_public anonymous"}},
		"plain http":        {other(`{s3: {endpoint: "http://s3.example.com", bucket: b-1, region: r, credentials: ambient, allow_private_addresses: true}}`), known, []string{"origin_plain_http origin.s3.endpoint"}},
		"http on loopback":  {other(`{s3: {endpoint: "http://127.0.0.1:9000", bucket: b-1, region: r, credentials: ambient}}`), known, nil},
		"same folder":       {inDir + other("{dir: data/documents/}"), known, []string{"bucket_overlap origin"}},
		"folder in it":      {inDir + other("{dir: ./data/documents/x}"), known, []string{"bucket_overlap origin"}},
		"folder around it":  {inDir + other("{dir: ./data}"), known, []string{"bucket_overlap origin"}},
		"folder beside it":  {inDir + other("{dir: ./data/documents2}"), known, nil},
		"same bucket":       {inS3 + s3("https://s3.example.com", "b-1", ""), known, []string{"bucket_overlap origin"}},
		"prefix in it":      {inS3 + s3("https://s3.example.com", "b-1", "a/"), known, []string{"bucket_overlap origin"}},
		"another bucket":    {inS3 + s3("https://s3.example.com", "b-2", ""), known, nil},
		"another store":     {inS3 + s3("https://s3.example.org", "b-1", ""), known, nil},
		"role and bucket":   {inDir + writerRole, known, nil},
		"no bucket":         {writerRole, known, []string{"bucket_missing permissions[0].bucket"}},
		"nothing is known":  {writerRole, lint.Lookup{}, nil},
		"role and a stored": {writerRole, lint.Lookup{Buckets: parsed(t, inDir)}, nil},
		"template":          {"kind: Role\nname: r\ntrust: [{service: {names: [a]}}]\npermissions: [{bucket: \"{tenant}\", prefixes: [\"\"], actions: [get_object]}]\n", known, nil},
		"brokered":          {writerRole + "broker: {aws: {role_arn: \"arn:aws:iam::123456789012:role/R\", region: us-east-1}}\n", known, nil},
		"role of another":   {inDir + "allowed_roles: [reader]\n", lint.Lookup{Roles: parsed(t, "kind: Role\nname: reader\ntrust: [{service: {names: [a]}}]\n")}, []string{"bucket_role_unused allowed_roles[0]"}},
		"role of it":        {inDir + "allowed_roles: [writer]\n" + writerRole, known, nil},
		"role not known":    {inDir + "allowed_roles: [writer]\n", known, nil},
	} {
		if diff := cmp.Diff(test.want, rulesOf(t, test.text, test.others)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func parsed(t *testing.T, text string) (found []*resource.Document) {
	t.Helper()
	documents, err := resource.Parse([]resource.File{{Name: "f", Content: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range documents {
		found = append(found, &documents[i])
	}
	return found
}
