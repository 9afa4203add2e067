package resource_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/resource"
)

// interfaceRole is the Role of INTERFACE.md, word for word.
const interfaceRole = `kind: Role
name: document-writer              # arn:aws:iam::000000000000:role/document-writer
max_session_duration: 1h
trust:                             # any one statement; all of what a statement says
  - oidc: {issuer: cognito-services, required_audiences: [7abcdefghijkl], condition: 'claims["custom:service_id"] == "document-service"'}
  - github: {repository: acme/docs, ref: refs/heads/main}
  - aws: {trusted_aws_accounts: ["123456789012"], subject_conditions: ["arn:aws:sts::123456789012:assumed-role/document-lambda/*"]}
  - service: {names: [document-service]}          # our own service tokens, audience sts
permissions:
  - {bucket: documents, prefixes: ["resumes/{tenant}/"], actions: [get_object, put_object, list_bucket]}
broker: {aws: {role_arn: "arn:aws:iam::123456789012:role/Real", region: us-east-1}}   # optional: real AWS credentials instead of ours; endpoint: for tests
`

const interfaceService = `kind: Service
name: document-service
tenant: acme                       # optional, on every kind; none = the platform
scopes: [s2s:internal]
audiences: [parse-service, iam-service, sts]
token_lifetime: 15m
jwks: {keys: []}                   # public keys for private_key_jwt, or jwks_uri
trust:                             # federated: one of these proofs instead of a secret
  - oidc: {issuer: cognito-services, condition: 'claims["custom:service_id"] == "document-service"'}
  - kubernetes: {issuer: cluster-a, service_account: docs/document-service}
quota: {tokens_per_minute: 600}
`

func TestRoleOfTheInterface(t *testing.T) {
	t.Parallel()
	documents, err := parse(interfaceService + "---\n" + interfaceRole)
	if err != nil {
		t.Fatal(err)
	}
	want := &resource.Role{
		MaxSessionDuration: resource.Duration(time.Hour),
		Trust: []resource.TrustStatement{
			{OIDC: &resource.OIDCTrust{Issuer: "cognito-services", RequiredAudiences: []string{"7abcdefghijkl"}, Condition: `claims["custom:service_id"] == "document-service"`}},
			{GitHub: &resource.GitHubTrust{Repository: "acme/docs", Ref: "refs/heads/main"}},
			{AWS: &resource.AWSTrust{TrustedAWSAccounts: []string{"123456789012"}, SubjectConditions: []string{"arn:aws:sts::123456789012:assumed-role/document-lambda/*"}}},
			{Service: &resource.ServiceTrust{Names: []string{"document-service"}}},
		},
		Permissions: []resource.Permission{{Bucket: "documents", Prefixes: []string{"resumes/{tenant}/"}, Actions: []string{"get_object", "list_bucket", "put_object"}}},
		Broker:      &resource.Broker{AWS: &resource.AWSBroker{RoleARN: "arn:aws:iam::123456789012:role/Real", Region: "us-east-1"}},
	}
	if diff := cmp.Diff(want, documents[1].Role); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"broker"}, documents[1].Role.HostFields()); diff != "" {
		t.Error(diff)
	}
	wantTrust := []resource.TrustStatement{
		{OIDC: &resource.OIDCTrust{Issuer: "cognito-services", Condition: `claims["custom:service_id"] == "document-service"`}},
		{Kubernetes: &resource.KubernetesTrust{Issuer: "cluster-a", ServiceAccount: "docs/document-service"}},
	}
	if diff := cmp.Diff(wantTrust, documents[0].Trust()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	stored, err := resource.EncodeTrust(documents[0].Trust())
	if err != nil {
		t.Fatal(err)
	}
	if read, err := resource.DecodeTrust(stored); err != nil || !cmp.Equal(wantTrust, read) {
		t.Errorf("stored as %s: %v, %v", stored, read, err)
	}
}

// What is written is what is read again, as YAML and as what is stored.
func TestRoleRoundTrip(t *testing.T) {
	t.Parallel()
	full := `kind: Role
name: r
tenant: acme
max_session_duration: 12h
trust:
  - oidc: {issuer: i, required_audiences: [b, a], subject_conditions: ["repo:acme/docs:**", '*'], condition: "true"}
    insecure_allow: [multi_tenant, everyone]
  - kubernetes: {issuer: k, service_account: ns/sa.x, required_audiences: [a], condition: "claims.x == 'y: #z'"}
  - github: {issuer: g, repository: a/b.c, environment: "prod eu", required_audiences: [a]}
  - aws: {trusted_aws_accounts: ["123456789012", "000000000001"], unique_ids: [AROAEXAMPLEEXAMPLE12]}
  - service: {names: ["doc-*"], condition: 'service.tenant == "acme"'}
permissions:
  - {bucket: "b.c-1", prefixes: ["", "a b/ü/{claims.custom:dept}/"], actions: [put_object, get_object]}
broker: {aws: {role_arn: "arn:aws-cn:iam::123456789012:role/path/to/Real_1", region: cn-north-1, endpoint: "http://127.0.0.1:4566"}}
`
	for _, text := range []string{full, interfaceRole, interfaceService, "kind: Role\nname: r\ntrust: [{service: {names: [a]}}]\n",
		"kind: Issuer\nname: i\nurl: https://i.example\nsubject: user\nprofile: oidc\naudiences: [app]\nshared_with: [b, a]\n", "kind: Service\nname: a\nshared_with: [b]\ntrust: [{aws: {trusted_aws_accounts: ['123456789012'], unique_ids: [AROAEXAMPLEEXAMPLE12]}}]\n"} {
		documents, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		d := documents[0]
		written, err := d.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again, err := parse(string(written))
		if err != nil {
			t.Fatalf("%s\n%v", written, err)
		}
		if diff := cmp.Diff(d, again[0], cmpopts.IgnoreUnexported(resource.Document{}), cmpopts.IgnoreFields(resource.Document{}, "File", "Line")); diff != "" {
			t.Errorf("(-first +again):\n%s", diff)
		}
		if twice, _ := again[0].YAML(); string(twice) != string(written) {
			t.Errorf("written as\n%s\nand then as\n%s", written, twice)
		}
		if d.Kind == resource.KindService {
			continue
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
}

func TestRoleRefusesWithPlace(t *testing.T) {
	t.Parallel()
	const head = "kind: Role\nname: r\n"
	trust := func(statement string) string { return head + "trust:\n  - " + statement + "\n" }
	const ok = head + "trust: [{service: {names: [a]}}]\n"
	permission := func(text string) string { return ok + "permissions:\n  - " + text + "\n" }
	const someP = "permissions: [{bucket: b, prefixes: [''], actions: [get_object]}]\n"
	tests := map[string]struct {
		text string
		want []string
	}{
		"no trust":                 {head, []string{"f0.yaml:1:1: trust"}},
		"empty trust":              {head + "trust: []\n", []string{"f0.yaml:3:8: trust"}},
		"trust is no list":         {head + "trust: {service: {names: [a]}}\n", []string{"f0.yaml:3:8: trust"}},
		"empty statement":          {trust("{}"), []string{"f0.yaml:4:5: trust[0]"}},
		"two proofs":               {trust("{service: {names: [a]}, github: {repository: a/b}}"), []string{"f0.yaml:4:5: trust[0]"}},
		"only insecure_allow":      {trust("{insecure_allow: [everyone]}"), []string{"f0.yaml:4:5: trust[0]"}},
		"unknown proof":            {trust("{odc: {issuer: i}}"), []string{"f0.yaml:4:5: trust[0]", "f0.yaml:4:6: trust[0].odc ~oidc"}},
		"oidc without issuer":      {trust("oidc: {subject_conditions: [x]}"), []string{"f0.yaml:4:11: trust[0].oidc.issuer"}},
		"issuer is a URL":          {trust("oidc: {issuer: 'https://i.example', subject_conditions: [x]}"), []string{"f0.yaml:4:20: trust[0].oidc.issuer"}},
		"oidc without a subject":   {trust("oidc: {issuer: i}"), []string{"f0.yaml:4:11: trust[0].oidc.subject_conditions"}},
		"oidc, audiences only":     {trust("oidc: {issuer: i, required_audiences: [a]}"), []string{"f0.yaml:4:11: trust[0].oidc.subject_conditions"}},
		"no subject in the list":   {trust("oidc: {issuer: i, subject_conditions: []}"), []string{"f0.yaml:4:43: trust[0].oidc.subject_conditions"}},
		"empty subject":            {trust("oidc: {issuer: i, subject_conditions: ['']}"), []string{"f0.yaml:4:44: trust[0].oidc.subject_conditions[0]"}},
		"empty condition":          {trust("oidc: {issuer: i, condition: ''}"), []string{"f0.yaml:4:34: trust[0].oidc.condition"}},
		"D1: star alone":           {trust("oidc: {issuer: i, subject_conditions: [x, '*']}"), []string{"f0.yaml:4:47: trust[0].oidc.subject_conditions[1]"}},
		"D1: two stars alone":      {trust("oidc: {issuer: i, subject_conditions: ['**']}"), []string{"f0.yaml:4:44: trust[0].oidc.subject_conditions[0]"}},
		"D1: ** in the middle":     {trust("oidc: {issuer: i, subject_conditions: ['a:**:b']}"), []string{"f0.yaml:4:44: trust[0].oidc.subject_conditions[0]"}},
		"D1: three stars":          {trust("oidc: {issuer: i, subject_conditions: ['a***']}"), []string{"f0.yaml:4:44: trust[0].oidc.subject_conditions[0]"}},
		"empty audiences":          {trust("oidc: {issuer: i, required_audiences: [], subject_conditions: [x]}"), []string{"f0.yaml:4:43: trust[0].oidc.required_audiences"}},
		"audience twice":           {trust("oidc: {issuer: i, required_audiences: [a, a], subject_conditions: [x]}"), []string{"f0.yaml:4:47: trust[0].oidc.required_audiences[1]"}},
		"misspelt":                 {trust("oidc: {issuer: i, required_audience: [a], subject_conditions: [x]}"), []string{"f0.yaml:4:23: trust[0].oidc.required_audience ~required_audiences"}},
		"subject of another proof": {trust("service: {names: [a], subject_conditions: [x]}"), []string{"f0.yaml:4:27: trust[0].service.subject_conditions"}},
		"long condition":           {trust("oidc: {issuer: i, condition: '" + strings.Repeat("a", 4097) + "'}"), []string{"f0.yaml:4:34: trust[0].oidc.condition"}},
		"kubernetes, no account":   {trust("kubernetes: {issuer: k}"), []string{"f0.yaml:4:17: trust[0].kubernetes.service_account"}},
		"kubernetes, no namespace": {trust("kubernetes: {issuer: k, service_account: sa}"), []string{"f0.yaml:4:46: trust[0].kubernetes.service_account"}},
		"kubernetes, star":         {trust("kubernetes: {issuer: k, service_account: 'ns/*'}"), []string{"f0.yaml:4:46: trust[0].kubernetes.service_account"}},
		"kubernetes, colon":        {trust("kubernetes: {issuer: k, service_account: 'ns/a:b'}"), []string{"f0.yaml:4:46: trust[0].kubernetes.service_account"}},
		"kubernetes, no issuer":    {trust("kubernetes: {service_account: ns/sa}"), []string{"f0.yaml:4:17: trust[0].kubernetes.issuer"}},
		"github, no repository":    {trust("github: {ref: refs/heads/main}"), []string{"f0.yaml:4:13: trust[0].github.repository"}},
		"github, every repository": {trust("github: {repository: 'acme/*'}"), []string{"f0.yaml:4:26: trust[0].github.repository"}},
		"github, owner only":       {trust("github: {repository: acme}"), []string{"f0.yaml:4:26: trust[0].github.repository"}},
		"github, short ref":        {trust("github: {repository: a/b, ref: main}"), []string{"f0.yaml:4:36: trust[0].github.ref"}},
		"github, wild ref":         {trust("github: {repository: a/b, ref: 'refs/heads/*'}"), []string{"f0.yaml:4:36: trust[0].github.ref"}},
		"aws, no account":          {trust("aws: {subject_conditions: ['arn:aws:sts::1:x']}"), []string{"f0.yaml:4:10: trust[0].aws.trusted_aws_accounts"}},
		"aws, empty accounts":      {trust("aws: {trusted_aws_accounts: [], subject_conditions: [x]}"), []string{"f0.yaml:4:33: trust[0].aws.trusted_aws_accounts"}},
		"aws, every account":       {trust("aws: {trusted_aws_accounts: ['*'], subject_conditions: [x]}"), []string{"f0.yaml:4:34: trust[0].aws.trusted_aws_accounts[0]"}},
		"aws, account is a number": {trust("aws: {trusted_aws_accounts: [123456789012], subject_conditions: [x]}"), []string{"f0.yaml:4:34: trust[0].aws.trusted_aws_accounts[0]"}},
		"aws, short account":       {trust("aws: {trusted_aws_accounts: ['12345678901'], subject_conditions: [x]}"), []string{"f0.yaml:4:34: trust[0].aws.trusted_aws_accounts[0]"}},
		"aws, account alone":       {trust("aws: {trusted_aws_accounts: ['123456789012']}"), []string{"f0.yaml:4:10: trust[0].aws.subject_conditions"}},
		"aws, id":                  {trust("aws: {trusted_aws_accounts: ['123456789012'], unique_ids: ['AROA*']}"), []string{"f0.yaml:4:64: trust[0].aws.unique_ids[0]"}},
		"service, no names":        {trust("service: {}"), []string{"f0.yaml:4:14: trust[0].service.names"}},
		"service, everybody":       {trust("service: {names: ['**']}"), []string{"f0.yaml:4:23: trust[0].service.names[0]"}},
		"duration too short":       {ok + "max_session_duration: 14m\n", []string{"f0.yaml:4:23: max_session_duration"}},
		"duration too long":        {ok + "max_session_duration: 13h\n", []string{"f0.yaml:4:23: max_session_duration"}},
		"duration in seconds":      {ok + "max_session_duration: 3600\n", []string{"f0.yaml:4:23: max_session_duration"}},
		"permission, no bucket":    {permission("{prefixes: [''], actions: [get_object]}"), []string{"f0.yaml:5:5: permissions[0].bucket"}},
		"permission, no prefixes":  {permission("{bucket: b, actions: [get_object]}"), []string{"f0.yaml:5:5: permissions[0].prefixes"}},
		"D2: empty prefixes":       {permission("{bucket: b, prefixes: [], actions: [get_object]}"), []string{"f0.yaml:5:27: permissions[0].prefixes"}},
		"D2: wildcard":             {permission("{bucket: b, prefixes: [ok/, 'a/*'], actions: [get_object]}"), []string{"f0.yaml:5:33: permissions[0].prefixes[1]"}},
		"D3: template":             {permission("{bucket: b, prefixes: ['{tenat}/'], actions: [get_object]}"), []string{"f0.yaml:5:28: permissions[0].prefixes[0]"}},
		"unknown action":           {permission("{bucket: b, prefixes: [''], actions: [put_object, get_objct]}"), []string{"f0.yaml:5:55: permissions[0].actions[1] ~get_object"}},
		"camel case":               {permission("{bucket: b, prefixes: [''], actions: [GetObject]}"), []string{"f0.yaml:5:43: permissions[0].actions[0] ~get_object"}},
		"IAM's word":               {permission("{bucket: b, prefixes: [''], actions: ['s3:*']}"), []string{"f0.yaml:5:43: permissions[0].actions[0]"}},
		"empty actions":            {permission("{bucket: b, prefixes: [''], actions: []}"), []string{"f0.yaml:5:42: permissions[0].actions"}},
		"every bucket":             {permission("{bucket: '*', prefixes: [''], actions: [get_object]}"), []string{"f0.yaml:5:14: permissions[0].bucket"}},
		"prefix twice":             {permission("{bucket: b, prefixes: [a/, a/], actions: [get_object]}"), []string{"f0.yaml:5:32: permissions[0].prefixes[1]"}},
		"singular":                 {permission("{bucket: b, prefix: [a/], actions: [get_object]}"), []string{"f0.yaml:5:5: permissions[0].prefixes", "f0.yaml:5:17: permissions[0].prefix ~prefixes"}},
		"broker, no permissions":   {ok + "broker: {aws: {role_arn: 'arn:aws:iam::123456789012:role/R', region: us-east-1}}\n", []string{"f0.yaml:1:1: permissions"}},
		"broker, nothing":          {ok + someP + "broker: {}\n", []string{"f0.yaml:5:9: broker.aws"}},
		"broker, another cloud":    {ok + someP + "broker: {gcp: {}}\n", []string{"f0.yaml:5:9: broker.aws", "f0.yaml:5:10: broker.gcp"}},
		"broker, user":             {ok + someP + "broker: {aws: {role_arn: 'arn:aws:iam::123456789012:user/R', region: us-east-1}}\n", []string{"f0.yaml:5:26: broker.aws.role_arn"}},
		"broker, every role":       {ok + someP + "broker: {aws: {role_arn: 'arn:aws:iam::123456789012:role/*', region: us-east-1}}\n", []string{"f0.yaml:5:26: broker.aws.role_arn"}},
		"broker, region":           {ok + someP + "broker: {aws: {role_arn: 'arn:aws:iam::123456789012:role/R', region: us-east-9}}\n", []string{"f0.yaml:5:70: broker.aws.region"}},
		"broker, evil region":      {ok + someP + "broker: {aws: {role_arn: 'arn:aws:iam::123456789012:role/R', region: 'x.evil.example#'}}\n", []string{"f0.yaml:5:70: broker.aws.region"}},
		"broker, partition":        {ok + someP + "broker: {aws: {role_arn: 'arn:aws:iam::123456789012:role/R', region: cn-north-1}}\n", []string{"f0.yaml:5:70: broker.aws.region"}},
		"broker, metadata":         {ok + someP + "broker: {aws: {role_arn: 'arn:aws:iam::123456789012:role/R', region: us-east-1, endpoint: 'http://169.254.169.254'}}\n", []string{"f0.yaml:5:91: broker.aws.endpoint"}},
		"shared_with":              {ok + "shared_with: [Acme]\n", []string{"f0.yaml:4:15: shared_with[0]"}},
		"several at once":          {head + "max_session_duration: 1\ntrust:\n  - oidc: {issuer: I, subject_conditions: ['**']}\n", []string{"f0.yaml:3:23: max_session_duration", "f0.yaml:5:20: trust[0].oidc.issuer", "f0.yaml:5:44: trust[0].oidc.subject_conditions[0]"}},
		"service trusts services":  {service + "trust:\n  - service: {names: [a]}\n", []string{"f0.yaml:4:14: trust[0].service"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			documents, err := parse(tt.text)
			if !errors.Is(err, countersign.Invalid) || documents != nil {
				t.Fatalf("got %v, %v", documents, err)
			}
			if diff := cmp.Diff(tt.want, places(err)); diff != "" {
				t.Errorf("problems (-want +got):\n%s\n%v", diff, err)
			}
		})
	}
}
