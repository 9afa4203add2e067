package awssts

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/egress"
)

// Endpoint is an STS that may be asked.
type Endpoint struct {
	// URL is the whole URL, with a path and without a query.
	URL string
	// Host is its host, with a port where it has one.
	Host string
	// Region is "" where the host names none.
	Region string
	// Partition is that of the ARNs that it may speak of.
	Partition string
}

// partition is a part of AWS that shares nothing with the others.
type partition struct {
	name string
	// suffix is that of its hosts, dual the one of those with IPv6; "" = none.
	suffix, dual string
	regions      []string
	// fips are the regions with hosts sts-fips.REGION.
	fips []string
}

// partitions is the table of endpoints of the AWS STS. A region that AWS adds needs a new
// row here or a line in sts.aws_endpoints: what is not in the table is not called.
//
// Source: botocore, endpoint rules of STS; AWS General Reference, "AWS STS endpoints".
var partitions = []partition{
	{"aws", "amazonaws.com", "api.aws", []string{
		"af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3",
		"ap-south-1", "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4",
		"ap-southeast-5", "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1",
		"eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3",
		"il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1",
		"us-east-1", "us-east-2", "us-east-3", "us-west-1", "us-west-2",
	}, []string{"us-east-1", "us-east-2", "us-west-1", "us-west-2"}},
	{"aws-cn", "amazonaws.com.cn", "api.amazonwebservices.com.cn",
		[]string{"cn-north-1", "cn-northwest-1"}, []string{"cn-north-1", "cn-northwest-1"}},
	{"aws-us-gov", "amazonaws.com", "api.aws",
		[]string{"us-gov-east-1", "us-gov-west-1"}, []string{"us-gov-east-1", "us-gov-west-1"}},
	{"aws-iso", "c2s.ic.gov", "", []string{"us-iso-east-1", "us-iso-west-1"}, []string{"us-iso-east-1", "us-iso-west-1"}},
	{"aws-iso-b", "sc2s.sgov.gov", "", []string{"us-isob-east-1", "us-isob-west-1"}, []string{"us-isob-east-1", "us-isob-west-1"}},
	{"aws-iso-e", "cloud.adc-e.uk", "", []string{"eu-isoe-west-1"}, nil},
	{"aws-iso-f", "csp.hci.ic.gov", "", []string{"us-isof-east-1", "us-isof-south-1"}, nil},
	{"aws-eusc", "amazonaws.eu", "", []string{"eusc-de-east-1"}, nil},
}

// byURL and byRegion are the table, ready to be asked.
var byURL, byRegion = index()

func index() (urls, regions map[string]Endpoint) {
	urls, regions = make(map[string]Endpoint), make(map[string]Endpoint)
	add := func(host, region, partition string) Endpoint {
		e := Endpoint{URL: "https://" + host + "/", Host: host, Region: region, Partition: partition}
		urls[e.URL] = e
		return e
	}
	add("sts.amazonaws.com", "", "aws")
	for _, p := range partitions {
		for _, region := range p.regions {
			names := []string{"sts."}
			if slices.Contains(p.fips, region) {
				names = append(names, "sts-fips.")
			}
			for _, name := range names {
				e := add(name+region+"."+p.suffix, region, p.name)
				if name == "sts." {
					regions[region] = e
				}
				if p.dual != "" {
					add(name+region+"."+p.dual, region, p.name)
				}
			}
		}
	}
	return urls, regions
}

// Lookup returns the endpoint of AWS with exactly that URL: https, a host of the table in
// lower case, no port, the path /.
func Lookup(text string) (Endpoint, bool) {
	e, ok := byURL[text]
	return e, ok
}

// OfRegion returns the regional endpoint of AWS.
func OfRegion(region string) (Endpoint, bool) {
	e, ok := byRegion[region]
	return e, ok
}

// ParseEndpoint reads a base URL of the configuration: https, or http on a loopback; no
// query. The partition is that of the region in the host's name, aws if there is none.
//
// Errors: countersign.Invalid.
func ParseEndpoint(text string) (Endpoint, error) {
	if err := egress.CheckURL(text); err != nil {
		return Endpoint{}, fmt.Errorf("read the URL of an STS: %w", err)
	}
	u, err := url.Parse(text)
	if err != nil || u.RawQuery != "" || u.ForceQuery || strings.ContainsAny(text, "#?") || u.RawPath != "" ||
		u.Host != strings.ToLower(u.Host) {
		return Endpoint{}, countersign.NewError(countersign.Invalid, countersign.ReasonParameterInvalid,
			"the URL of an STS is a base URL in lower case, without query and escapes")
	}
	if u.Path == "" {
		u.Path = "/"
	}
	e := Endpoint{URL: u.Scheme + "://" + u.Host + u.Path, Host: u.Host, Partition: "aws"}
	for label := range strings.SplitSeq(u.Hostname(), ".") {
		if known, ok := byRegion[label]; ok {
			e.Region, e.Partition = known.Region, known.Partition
		}
	}
	return e, nil
}
