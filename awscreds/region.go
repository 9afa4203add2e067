package awscreds

import (
	"regexp"
	"strings"
)

// regionWord is what a region can be called; it becomes part of a host.
var regionWord = regexp.MustCompile(`^[a-z]{2,4}(-[a-z]{1,16}){1,3}-[0-9]{1,2}$`)

// suffixes are the host names of the partitions whose regions begin so; all others are
// below amazonaws.com.
//
// Source: the endpoint table of the AWS SDKs (partitions.json).
var suffixes = []struct{ region, host string }{
	{"cn-", "amazonaws.com.cn"},
	{"us-isob-", "sc2s.sgov.gov"},
	{"us-isof-", "csp.hci.ic.gov"},
	{"us-iso-", "c2s.ic.gov"},
	{"eu-isoe-", "cloud.adc-e.uk"},
	{"eusc-", "amazonaws.eu"},
}

// regionalSTS returns the STS endpoint of a region; "" and aws-global = the global one.
//
// Errors: countersign.Invalid.
func regionalSTS(region string) (string, error) {
	if region == "" || region == "aws-global" {
		return "https://sts.amazonaws.com/", nil
	}
	if !regionWord.MatchString(region) {
		return "", invalid("Region must be the name of an AWS region")
	}
	for _, s := range suffixes {
		if strings.HasPrefix(region, s.region) {
			return "https://sts." + region + "." + s.host + "/", nil
		}
	}
	return "https://sts." + region + ".amazonaws.com/", nil
}
