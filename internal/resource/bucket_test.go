package resource_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign/countersign/internal/resource"
)

// interfaceBucket is the Bucket of INTERFACE.md, with its dots filled in.
const interfaceBucket = `kind: Bucket
name: documents
origin: {s3: {endpoint: "https://s3.us-east-1.amazonaws.com", bucket: my-documents, region: us-east-1, prefix: "", credentials: {static: {access_key_id: AKIAIOSFODNN7EXAMPLE, secret_access_key_file: ./data/key}}}}
# or origin: {dir: ./data/documents}      # credentials: static | ambient | {web_identity: {role_arn: …}}
anonymous: false
`

const bucketHead = "kind: Bucket\nname: documents\n"

// s3Origin is a good origin whose fields the tests change.
func s3Origin(old, text string) string {
	const good = `origin: {s3: {endpoint: "https://s3.example.com", bucket: b-1, region: us-east-1, credentials: ambient}}` + "\n"
	return bucketHead + strings.Replace(good, old, text, 1)
}

func oneBucket(t *testing.T, text string) *resource.Document {
	t.Helper()
	documents, err := parse(text)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	return &documents[0]
}

func TestBucketOfTheInterface(t *testing.T) {
	t.Parallel()
	d := oneBucket(t, interfaceBucket)
	want := &resource.Bucket{Origin: resource.Origin{S3: &resource.S3Origin{
		Endpoint: "https://s3.us-east-1.amazonaws.com", Bucket: "my-documents", Region: "us-east-1",
		Credentials: resource.Credentials{Static: &resource.StaticCredentials{AccessKeyID: "AKIAIOSFODNN7EXAMPLE", SecretAccessKeyFile: "./data/key"}},
	}}}
	if diff := cmp.Diff(want, d.Bucket); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]resource.HostPath{{Field: "origin.s3.credentials.static.secret_access_key_file", Path: "./data/key"}}, d.HostPaths()); diff != "" {
		t.Error(diff)
	}
	dir := oneBucket(t, bucketHead+"origin: {dir: ./data/documents}\nanonymous: true\n")
	if diff := cmp.Diff(&resource.Bucket{Origin: resource.Origin{Dir: "./data/documents"}, Anonymous: true}, dir.Bucket); diff != "" {
		t.Error(diff)
	}
	for _, text := range []string{
		interfaceBucket, bucketHead + "origin: {dir: ./data/documents}\nanonymous: true\n",
		bucketHead + "tenant: acme\nallowed_roles: [b, a]\nshared_with: [y, x]\norigin: {dir: /srv/x y}\n",
		s3Origin("ambient", `{web_identity: {role_arn: "arn:aws:iam::123456789012:role/Gateway"}}, prefix: "a b/ü/", path_style: false, allow_private_addresses: true`),
		s3Origin("ambient", `"ambient", path_style: true`),
		s3Origin("us-east-1, credentials: ambient", `auto, credentials: {web_identity: {role_arn: "arn:aws:iam::123456789012:role/Gateway", region: eu-west-1, endpoint: "http://127.0.0.1:5000"}}`),
	} {
		roundTrip(t, text)
	}
}

// roundTrip: what is written is what is read again, as YAML and as what is stored.
func roundTrip(t *testing.T, text string) {
	t.Helper()
	d := oneBucket(t, text)
	written, err := d.YAML()
	if err != nil {
		t.Fatal(err)
	}
	again := oneBucket(t, string(written))
	if diff := cmp.Diff(d, again, cmpopts.IgnoreUnexported(resource.Document{}), cmpopts.IgnoreFields(resource.Document{}, "File", "Line")); diff != "" {
		t.Errorf("%s\n(-first +again):\n%s", written, diff)
	}
	spec, err := d.Spec()
	if err != nil {
		t.Fatal(err)
	}
	stored, err := resource.FromSpec(d.Kind, d.Name, d.Tenant, spec)
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := stored.YAML(); string(text) != string(written) {
		t.Errorf("stored as\n%s\nand it was\n%s", text, written)
	}
}

func TestBucketAddressing(t *testing.T) {
	t.Parallel()
	for text, path := range map[string]bool{
		s3Origin("", ""): true,
		s3Origin("s3.example.com", "s3.us-east-1.amazonaws.com"):                                                             false,
		strings.Replace(s3Origin("s3.example.com", "s3.us-east-1.amazonaws.com"), "b-1", "b.1", 1):                           true,
		s3Origin("s3.example.com", "s3.cn-north-1.amazonaws.com.cn"):                                                         false,
		s3Origin("s3.example.com", "s3.amazonaws.com.example.com"):                                                           true,
		s3Origin("ambient", "ambient, path_style: false"):                                                                    false,
		strings.Replace(s3Origin("s3.example.com", "s3.us-east-1.amazonaws.com"), "ambient", "ambient, path_style: true", 1): true,
	} {
		if got := oneBucket(t, text).Bucket.Origin.S3.UsesPathStyle(); got != path {
			t.Errorf("%s: path style %v", text, got)
		}
	}
}

// TestRuleA8FieldsOfABucketThatReachTheHost: none is without one.
func TestRuleA8FieldsOfABucketThatReachTheHost(t *testing.T) {
	t.Parallel()
	const credentials = "origin.s3.credentials"
	for text, want := range map[string][]string{
		bucketHead + "origin: {dir: data}\n": {"origin.dir"},
		s3Origin("", ""):                     {credentials},
		interfaceBucket:                      {credentials + ".static.secret_access_key_file"},
		strings.Replace(s3Origin("https://s3.example.com", "http://s3.example.com"), "ambient", "ambient, allow_private_addresses: true", 1): {
			"origin.s3.endpoint", "origin.s3.allow_private_addresses", credentials,
		},
		s3Origin("https://s3.example.com", "http://127.0.0.1:9000"):                                 {"origin.s3.endpoint", credentials},
		s3Origin("https://s3.example.com", "https://localhost:9000"):                                {"origin.s3.endpoint", credentials},
		s3Origin("ambient", "ambient, allow_private_addresses: true"):                               {"origin.s3.allow_private_addresses", credentials},
		s3Origin("ambient", `{web_identity: {role_arn: "arn:aws:iam::123456789012:role/Gateway"}}`): {credentials + ".web_identity"},
	} {
		if diff := cmp.Diff(want, oneBucket(t, text).Bucket.HostFields()); diff != "" {
			t.Errorf("%s\n%s", text, diff)
		}
	}
}

func TestBucketRefusesWithPlace(t *testing.T) {
	t.Parallel()
	static := func(fields string) string { return s3Origin("ambient", "{static: {"+fields+"}}") }
	identity := func(fields string) string {
		return s3Origin("ambient", `{web_identity: {role_arn: "arn:aws:iam::123456789012:role/R"`+fields+"}}")
	}
	for name, test := range map[string]struct{ text, path, says string }{
		"no origin":              {bucketHead, "origin", "is missing"},
		"empty origin":           {bucketHead + "origin: {}\n", "origin.s3", "s3 or dir"},
		"origin is text":         {bucketHead + "origin: ./data\n", "origin", "keys with values"},
		"two origins":            {s3Origin("{s3:", "{dir: x, s3:"), "origin.dir", "use one of them"},
		"unknown origin":         {bucketHead + "origin: {gcs: {}, dir: x}\n", "origin.gcs", "unknown field"},
		"empty dir":              {bucketHead + "origin: {dir: ''}\n", "origin.dir", "must not be empty"},
		"dir of two lines":       {bucketHead + "origin: {dir: \"a\\nb\"}\n", "origin.dir", "path of a folder"},
		"long dir":               {bucketHead + "origin: {dir: " + strings.Repeat("a/", 600) + "}\n", "origin.dir", "path of a folder"},
		"misspelt":               {s3Origin("ambient", "ambient, path-style: true"), "origin.s3.path-style", "path_style"},
		"no endpoint":            {s3Origin(`endpoint: "https://s3.example.com", `, ""), "origin.s3.endpoint", "is missing"},
		"endpoint with a bucket": {s3Origin("s3.example.com", "s3.example.com/b-1"), "origin.s3.endpoint", "without a path"},
		"endpoint with a slash":  {s3Origin("s3.example.com", "s3.example.com/"), "origin.s3.endpoint", "without a path"},
		"endpoint with a query":  {s3Origin("s3.example.com", "s3.example.com?x=1"), "origin.s3.endpoint", "a query"},
		"endpoint with a user":   {s3Origin("s3.example.com", "u:p@s3.example.com"), "origin.s3.endpoint", "user"},
		"endpoint by ftp":        {s3Origin("https:", "ftp:"), "origin.s3.endpoint", "https"},
		"plain http":             {s3Origin("https:", "http:"), "origin.s3.endpoint", "plain http"},
		"trailers are text":      {s3Origin("ambient", "ambient, no_checksum_trailers: 'true'"), "origin.s3.no_checksum_trailers", "true or false"},
		"metadata":               {s3Origin("https://s3.example.com", "http://169.254.169.254"), "origin.s3.endpoint", "never dialled"},
		"private address":        {s3Origin("s3.example.com", "10.1.2.3"), "origin.s3.endpoint", "allow_private_addresses"},
		"private IPv6":           {s3Origin("s3.example.com", "[fd00::1]:9000"), "origin.s3.endpoint", "allow_private_addresses"},
		"mapped private address": {s3Origin("s3.example.com", "[::ffff:10.0.0.1]"), "origin.s3.endpoint", "allow_private_addresses"},
		"no bucket":              {s3Origin("bucket: b-1, ", ""), "origin.s3.bucket", "is missing"},
		"bucket with a slash":    {s3Origin("b-1", "b/1"), "origin.s3.bucket", "name of a bucket"},
		"bucket of dots":         {s3Origin("b-1", "b..1"), "origin.s3.bucket", "name of a bucket"},
		"no region":              {s3Origin("region: us-east-1, ", ""), "origin.s3.region", "is missing"},
		"region with a slash":    {s3Origin("us-east-1", "us/east"), "origin.s3.region", "region"},
		"prefix without an end":  {s3Origin("ambient", "ambient, prefix: a"), "origin.s3.prefix", "end in /"},
		"prefix from the root":   {s3Origin("ambient", "ambient, prefix: /a/"), "origin.s3.prefix", "start with /"},
		"prefix with dots":       {s3Origin("ambient", "ambient, prefix: a/../"), "origin.s3.prefix", "segments"},
		"prefix with nothing":    {s3Origin("ambient", "ambient, prefix: a//"), "origin.s3.prefix", "segments"},
		"prefix is a slash":      {s3Origin("ambient", "ambient, prefix: /"), "origin.s3.prefix", "segments"},
		"prefix, backslash":      {s3Origin("ambient", `ambient, prefix: 'a\b/'`), "origin.s3.prefix", "backslash"},
		"prefix is a number":     {s3Origin("ambient", "ambient, prefix: 1"), "origin.s3.prefix", "text"},
		"no credentials":         {s3Origin(", credentials: ambient", ""), "origin.s3.credentials", "is missing"},
		"other credentials":      {s3Origin("ambient", "anonymous"), "origin.s3.credentials", "ambient"},
		"empty credentials":      {s3Origin("ambient", "{}"), "origin.s3.credentials", "ambient"},
		"ambient with fields":    {s3Origin("ambient", "{ambient: true}"), "origin.s3.credentials.ambient", "unknown field"},
		"credentials as a list":  {s3Origin("ambient", "[ambient]"), "origin.s3.credentials", "keys with values"},
		"two credentials":        {s3Origin("ambient", `{static: {access_key_id: abc, secret_access_key_file: f}, web_identity: {role_arn: "arn:aws:iam::123456789012:role/R"}}`), "origin.s3.credentials.web_identity", "use one of them"},
		"no id":                  {static("secret_access_key_file: f"), "origin.s3.credentials.static.access_key_id", "is missing"},
		"bad id":                 {static("access_key_id: a/b/c, secret_access_key_file: f"), "origin.s3.credentials.static.access_key_id", "id of an access key"},
		"no file":                {static("access_key_id: abc"), "origin.s3.credentials.static.secret_access_key_file", "is missing"},
		"secret in the document": {static("access_key_id: abc, secret_access_key: SeCrEtSeCrEt"), "origin.s3.credentials.static.secret_access_key", "secret_access_key_file"},
		"no role":                {s3Origin("ambient", "{web_identity: {region: us-east-1}}"), "origin.s3.credentials.web_identity.role_arn", "is missing"},
		"role's name only":       {s3Origin("ambient", "{web_identity: {role_arn: R}}"), "origin.s3.credentials.web_identity.role_arn", "ARN of a role"},
		"role of no region":      {strings.Replace(identity(""), "us-east-1", "auto", 1), "origin.s3.credentials.web_identity.region", "none of AWS"},
		"other partition":        {identity(", region: cn-north-1"), "origin.s3.credentials.web_identity.region", "partition"},
		"STS with a query":       {identity(`, endpoint: "https://sts.example.com?x"`), "origin.s3.credentials.web_identity.endpoint", "query"},
		"no roles":               {bucketHead + "origin: {dir: x}\nallowed_roles: []\n", "allowed_roles", "must not be empty"},
		"role twice":             {bucketHead + "origin: {dir: x}\nallowed_roles: [a, a]\n", "allowed_roles[1]", "twice"},
		"a pattern of roles":     {bucketHead + "origin: {dir: x}\nallowed_roles: [\"a*\"]\n", "allowed_roles[0]", "characters"},
		"anonymous is text":      {bucketHead + "origin: {dir: x}\nanonymous: yes\n", "anonymous", "true or false"},
		"unknown field":          {bucketHead + "origin: {dir: x}\nanonimous: true\n", "anonimous", "anonymous"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse(test.text)
			wantOneProblem(t, err, test.path, test.says)
			if err != nil && strings.Contains(err.Error(), "SeCrEt") {
				t.Error("the problem repeats the secret")
			}
		})
	}
}

func wantOneProblem(t *testing.T, err error, path, says string) {
	t.Helper()
	told, ok := err.(*resource.Error) //nolint:errorlint // Parse returns it as it is
	if !ok || len(told.Problems) != 1 {
		t.Fatalf("got %v, want one problem at %s", err, path)
	}
	if p := told.Problems[0]; p.Path != path || p.Line == 0 || !strings.Contains(p.String(), says) {
		t.Errorf("got %s, want %s: %s", p, path, says)
	}
}

// Clients of S3 must take the name, and not for one of AWS's own kinds of buckets.
func TestBucketNames(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"abc": true, "documents": true, "2024-logs": true, strings.Repeat("a", 63): true,
		"ab": false, "a": false, "abc-": false, "xn--abc": false, "sthree-x": false, "a-s3alias": false, "a--x-s3": false, "a--ol-s3": false,
		"a.b": false, "Abc": false, "a_b": false, strings.Repeat("a", 64): false, "-abc": false, "sts": false, "s3": false,
	} {
		_, err := parse("kind: Bucket\nname: " + name + "\norigin: {dir: x}\n")
		if (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
