package resource

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
	"github.com/countersign/countersign/internal/awssts"
)

// The bounds of a bucket.
const (
	minBucketName = 3 // of S3: clients refuse shorter ones
	maxDirBytes   = 1024
	maxPrefix     = 512
)

// Bucket is a name at the gateway, whose objects an origin keeps.
type Bucket struct {
	Origin Origin `json:"origin"`
	// Anonymous: objects may be read without credentials; nothing else may.
	Anonymous bool `json:"anonymous,omitempty"`
	// AllowedRoles are the only ones that get in; none = each one whose permissions name it.
	AllowedRoles []string `json:"allowed_roles,omitempty"`
	// SharedWith are other tenants whose roles may name it (RULES A6).
	SharedWith []string `json:"shared_with,omitempty"`
}

// Origin is where the objects are: exactly one of its fields is set.
type Origin struct {
	S3 *S3Origin `json:"s3,omitempty"`
	// Dir is a folder of the server's machine, as it was written: relative to the folder of
	// the server's configuration.
	Dir string `json:"dir,omitempty"`
}

// S3Origin is a bucket of a store that speaks S3.
type S3Origin struct {
	// Endpoint is a base URL without a path.
	Endpoint string `json:"endpoint"`
	Bucket   string `json:"bucket"`
	Region   string `json:"region"`
	// Prefix ends in / and comes before every key; "" = none.
	Prefix      string      `json:"prefix,omitempty"`
	Credentials Credentials `json:"credentials"`
	// PathStyle is nil where nothing was said; see [S3Origin.UsesPathStyle].
	PathStyle             *bool `json:"path_style,omitempty"`
	AllowPrivateAddresses bool  `json:"allow_private_addresses,omitempty"`
	// NoChecksumTrailers is for a store that does not know checksums behind a body.
	NoChecksumTrailers bool `json:"no_checksum_trailers,omitempty"`
}

// UsesPathStyle reports whether the bucket is in the path and not in the host's name: as it
// was said, else everywhere but at AWS.
func (o *S3Origin) UsesPathStyle() bool {
	if o.PathStyle != nil {
		return *o.PathStyle
	}
	u, err := url.Parse(o.Endpoint)
	return err != nil || !isAWSHost(u.Hostname()) || strings.Contains(o.Bucket, ".") // no certificate covers a dotted name
}

// namesPrivateNetwork reports whether a host is written as an address of a private network. A
// loopback that is written as such may be dialled (RULES C2).
func namesPrivateNetwork(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsPrivate()
}

func isAWSHost(host string) bool {
	return strings.HasSuffix(host, ".amazonaws.com") || strings.HasSuffix(host, ".amazonaws.com.cn")
}

// Credentials of an origin: exactly one is set.
type Credentials struct {
	Static *StaticCredentials
	// Ambient are those of the server's own process, as AWS's SDKs find them.
	Ambient bool
	// WebIdentity is a role of AWS that trusts our issuer.
	WebIdentity *AWSBroker
}

// StaticCredentials are long-lived keys. The secret one is in a file, never in a document.
type StaticCredentials struct {
	AccessKeyID         string `json:"access_key_id"`
	SecretAccessKeyFile string `json:"secret_access_key_file"`
}

const credentialsAmbient = "ambient"

type credentialsFields struct {
	Static      *StaticCredentials `json:"static,omitempty"`
	WebIdentity *AWSBroker         `json:"web_identity,omitempty"`
}

// MarshalJSON writes ambient as text.
//
// Errors: none.
func (c Credentials) MarshalJSON() ([]byte, error) {
	if c.Ambient {
		return json.Marshal(credentialsAmbient)
	}
	return marshal(credentialsFields{c.Static, c.WebIdentity})
}

// UnmarshalJSON reads what MarshalJSON wrote.
//
// Errors: those of encoding/json.
func (c *Credentials) UnmarshalJSON(text []byte) error {
	if len(text) > 0 && text[0] == '"' {
		c.Ambient = string(text) == `"`+credentialsAmbient+`"`
		return nil
	}
	var fields credentialsFields
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	c.Static, c.WebIdentity = fields.Static, fields.WebIdentity
	return nil
}

func readBucket(f *fields) *Bucket {
	b := &Bucket{Anonymous: f.boolean("anonymous", false)}
	if name := f.r.document.Name; countersign.ValidName(name) && !bucketName(name) {
		f.wrong("name", "must be the name of a bucket too: at least 3 characters, no - at the end, and none of the forms that AWS keeps for itself")
	}
	roles := f.texts("allowed_roles", maxItems)
	f.each("allowed_roles", roles, func(text string) string {
		if !countersign.ValidName(text) {
			return nameForm
		}
		return ""
	})
	if f.has("allowed_roles") && len(roles) == 0 {
		f.wrong("allowed_roles", "must not be empty: leave it out for every role whose permissions name the bucket")
	}
	b.AllowedRoles, b.SharedWith = sorted(roles), f.sharedWith()
	if f.required("origin") {
		b.Origin = readOrigin(f.inner("origin"))
	}
	return b
}

// bucketName reports whether clients of S3 take a name of ours for that of a bucket. Some
// forms send them elsewhere: to AWS's own kinds of buckets.
//
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
func bucketName(name string) bool {
	if len(name) < minBucketName || strings.HasSuffix(name, "-") {
		return false
	}
	for _, prefix := range []string{"xn--", "sthree-"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	for _, suffix := range []string{"-s3alias", "--ol-s3", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, suffix) {
			return false
		}
	}
	return true
}

func readOrigin(f *fields) (o Origin) {
	if f == nil {
		return o
	}
	o.Dir = f.text("dir")
	if strings.ContainsAny(o.Dir, "\n\t") || len(o.Dir) > maxDirBytes {
		f.wrong("dir", "must be the path of a folder")
	}
	if f.has("s3") {
		if f.has("dir") {
			f.wrong("dir", "is given beside s3: use one of them")
		}
		o.S3 = readS3Origin(f.inner("s3"))
	} else if !f.has("dir") {
		f.wrong("s3", "is missing: an origin is s3 or dir")
	}
	f.done()
	return o
}

var (
	// originBucketForm is wider than AWS is now: old buckets and other stores have such names.
	originBucketForm = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9._-]{1,254}\z`)
	originRegionForm = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9-]{0,62}\z`)
	// accessKeyIDForm keeps out what has a meaning in a signature's header.
	accessKeyIDForm = regexp.MustCompile(`\A[A-Za-z0-9._+@-]{3,128}\z`)
)

func readS3Origin(f *fields) *S3Origin {
	if f == nil {
		return nil
	}
	o := &S3Origin{
		Endpoint: f.text("endpoint"), Bucket: f.text("bucket"), Region: f.text("region"), Prefix: f.optional("prefix"),
		AllowPrivateAddresses: f.boolean("allow_private_addresses", false), NoChecksumTrailers: f.boolean("no_checksum_trailers", false),
	}
	if _, said := f.find("path_style"); said {
		style := f.boolean("path_style", false)
		o.PathStyle = &style
	}
	for _, key := range []string{"endpoint", "bucket", "region", "credentials"} {
		f.required(key)
	}
	if o.Endpoint != "" {
		if problem := checkOriginEndpoint(o); problem != "" {
			f.wrong("endpoint", problem)
		}
	}
	if o.Bucket != "" && (!originBucketForm.MatchString(o.Bucket) || strings.Contains(o.Bucket, "..")) {
		f.wrong("bucket", "must be the name of a bucket")
	}
	if o.Region != "" && !originRegionForm.MatchString(o.Region) {
		f.wrong("region", "must be a region, such as us-east-1")
	}
	if problem := checkOriginPrefix(o.Prefix); problem != "" {
		f.wrong("prefix", problem)
	}
	if node, ok := f.find("credentials"); ok {
		o.Credentials = readCredentials(f, node, o.Region)
	}
	f.done()
	return o
}

func checkOriginEndpoint(o *S3Origin) string {
	problem, _ := checkURL(o.Endpoint, true)
	u, err := url.Parse(o.Endpoint)
	switch {
	case problem != "":
		return problem
	case err != nil || u.Path != "" || strings.Contains(o.Endpoint, "?"):
		return "must be a base URL, without a path, a final slash and a query: the bucket has a field of its own"
	case namesPrivateNetwork(u.Hostname()) && !o.AllowPrivateAddresses:
		return "is a private address: that needs allow_private_addresses: true"
	case u.Scheme == "http" && !egress.IsLoopbackHost(u.Hostname()) && !o.AllowPrivateAddresses:
		return "is plain http, which goes to a loopback, and with allow_private_addresses: true to private addresses: use https"
	}
	return ""
}

// checkOriginPrefix: a prefix that ends within a word would cover the keys of another
// bucket with a longer one.
func checkOriginPrefix(prefix string) string {
	if prefix == "" {
		return ""
	}
	if len(prefix) > maxPrefix || !strings.HasSuffix(prefix, "/") || strings.ContainsAny(prefix, "\\\n\t") {
		return "must end in /, and have at most 512 bytes and no backslash"
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(prefix, "/"), "/") {
		if segment == "" || segment == "." || segment == ".." {
			return `must not start with / and have no empty, "." and ".." segments`
		}
	}
	return ""
}

func readCredentials(f *fields, node ast.Node, region string) (c Credentials) {
	const want = "must be ambient, or one of static and web_identity with its fields"
	if word, isText := node.(*ast.StringNode); isText {
		if c.Ambient = word.Value == credentialsAmbient; !c.Ambient {
			f.wrong("credentials", want)
		}
		return c
	}
	inner := f.inner("credentials")
	if inner == nil {
		return c
	}
	switch {
	case inner.has("static") && inner.has("web_identity"):
		inner.wrong("web_identity", "is given beside static: use one of them")
	case !inner.has("static") && !inner.has("web_identity") && len(inner.keys) == 0:
		f.wrong("credentials", want)
	}
	c.Static, c.WebIdentity = readStatic(inner.inner("static")), readWebIdentity(inner.inner("web_identity"), region)
	inner.done()
	return c
}

func readStatic(f *fields) *StaticCredentials {
	if f == nil {
		return nil
	}
	s := &StaticCredentials{AccessKeyID: f.text("access_key_id"), SecretAccessKeyFile: f.text("secret_access_key_file")}
	if f.required("access_key_id") && s.AccessKeyID != "" && !accessKeyIDForm.MatchString(s.AccessKeyID) {
		f.wrong("access_key_id", "must be the id of an access key")
	}
	if _, ok := f.find("secret_access_key"); ok {
		f.wrong("secret_access_key", "has no place in a document: secret_access_key_file names the file that holds it")
	} else {
		f.required("secret_access_key_file")
	}
	if strings.ContainsAny(s.SecretAccessKeyFile, "\n\t") || len(s.SecretAccessKeyFile) > maxDirBytes {
		f.wrong("secret_access_key_file", "must be the path of a file")
	}
	f.done()
	return s
}

// readWebIdentity takes the origin's region where none is said.
func readWebIdentity(f *fields, region string) *AWSBroker {
	if f == nil {
		return nil
	}
	w := &AWSBroker{RoleARN: f.text("role_arn"), Region: f.text("region"), Endpoint: f.text("endpoint")}
	if f.required("role_arn") && w.RoleARN != "" {
		if problem := checkRoleARN(w.RoleARN); problem != "" {
			f.wrong("role_arn", problem)
		}
	}
	if !f.has("region") {
		w.Region = region
		if _, known := awssts.OfRegion(region); !known && region != "" && w.Endpoint == "" {
			f.wrong("region", "is missing: the region of the origin is none of AWS, whose STS is asked")
		}
	} else if problem := checkRegion(w); problem != "" {
		f.wrong("region", problem)
	}
	if problem := checkSTSEndpoint(w.Endpoint); problem != "" {
		f.wrong("endpoint", problem)
	}
	f.done()
	return w
}

// HostFields returns the paths of what only a super-admin or a file of the configuration
// may say, because it reaches the host and its network (RULES A8).
func (b *Bucket) HostFields() (found []string) {
	if b.Origin.Dir != "" {
		found = append(found, "origin.dir")
	}
	o := b.Origin.S3
	if o == nil {
		return found
	}
	if _, reserved := checkURL(o.Endpoint, true); reserved {
		found = append(found, "origin.s3.endpoint")
	}
	if o.AllowPrivateAddresses {
		found = append(found, "origin.s3.allow_private_addresses")
	}
	switch {
	case o.Credentials.Static != nil:
		found = append(found, "origin.s3.credentials.static.secret_access_key_file")
	case o.Credentials.WebIdentity != nil:
		found = append(found, "origin.s3.credentials.web_identity")
	default:
		found = append(found, "origin.s3.credentials")
	}
	return found
}

// HostPath is a path of the server's machine that a document names, and its field.
type HostPath struct{ Field, Path string }

// HostPaths returns every path that the document names (RULES A8).
func (d *Document) HostPaths() (found []HostPath) {
	if d.Bucket == nil {
		return nil
	}
	if dir := d.Bucket.Origin.Dir; dir != "" {
		found = append(found, HostPath{"origin.dir", dir})
	}
	if o := d.Bucket.Origin.S3; o != nil && o.Credentials.Static != nil {
		found = append(found, HostPath{"origin.s3.credentials.static.secret_access_key_file", o.Credentials.Static.SecretAccessKeyFile})
	}
	return found
}
