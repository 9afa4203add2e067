package trust_test

import (
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/trust"
)

// TestVulnerability1 is CVE-2020-16250: the server must not be made to send another request
// than GetCallerIdentity, or to ask for another form of answer. What is answered is in
// TestVulnerability1Replies.
func TestVulnerability1(t *testing.T) {
	t.Parallel()
	s := newSTS(t, nil)
	url := s.URL + "/"
	good, signed := signPost(t, url, keyPair, nil), presign(t, url, keyPair, 60)
	body := func(text string) trust.AWSProof { p := good; p.Body = text; return p }
	header := func(name, value string) trust.AWSProof {
		return withHeaders(good, map[string]string{name: value})
	}
	query := func(from, to string) trust.AWSProof {
		p := signed
		p.URL = strings.Replace(p.URL, from, to, 1)
		if p.URL == signed.URL {
			t.Fatalf("nothing to replace: %s", from)
		}
		return p
	}
	tests := map[string]trust.AWSProof{
		"another action":                body("Action=AssumeRoleWithWebIdentity&Version=2011-06-15"),
		"action twice":                  body(callBody + "&Action=AssumeRole"),
		"action in other case":          body("action=GetCallerIdentity&Version=2011-06-15"),
		"action with another behind":    body("Action=GetCallerIdentity&Version=2011-06-15&WebIdentityToken=x"),
		"action escaped":                body("Action=GetCaller%49dentity&Version=2011-06-15"),
		"version alone":                 body("Version=2011-06-15"),
		"another version":               body("Action=GetCallerIdentity&Version=2010-05-08"),
		"body with a line break":        body(callBody + "\n"),
		"body with a blank before":      body(" " + callBody),
		"body with separators":          body("&" + callBody),
		"no body":                       body(""),
		"asks for JSON":                 header("Accept", "application/json"),
		"asks for JSON too":             header("Accept", "text/xml, application/json"),
		"names a target":                header("X-Amz-Target", "AWSSecurityTokenServiceV20110615.AssumeRoleWithWebIdentity"),
		"names a host":                  header("Host", "sts.amazonaws.com"),
		"host with a port":              header("Host", "127.0.0.1:1"),
		"forwarded host":                header("X-Forwarded-Host", "evil.example.com"),
		"overrides the method":          header("X-HTTP-Method-Override", "PUT"),
		"JSON as a form":                header("Content-Type", "application/json"),
		"multipart":                     header("Content-Type", "multipart/form-data; boundary=x"),
		"encoding":                      header("Content-Encoding", "gzip"),
		"chunks":                        header("Transfer-Encoding", "chunked"),
		"length of another body":        header("Content-Length", "44"),
		"connection":                    header("Connection", "X-Amz-Date"),
		"line break in a value":         header("User-Agent", "x\r\nX-Amz-Target: y"),
		"control in a value":            header("User-Agent", "x\x00"),
		"no ASCII in a value":           header("User-Agent", "ü"),
		"blank around a value":          header("User-Agent", " x"),
		"blank in a name":               header("User-Agent ", "x"),
		"colon in a name":               header("User-Agent:", "x"),
		"other letters in a name":       header("User-Agent\u212a", "x"),
		"hash of another body":          header("X-Amz-Content-Sha256", strings.Repeat("0", 64)),
		"no hash":                       header("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD"),
		"presigned: another action":     query("Action=GetCallerIdentity", "Action=AssumeRole"),
		"presigned: action escaped":     query("Action=", "%41ction="),
		"presigned: key in other case":  query("X-Amz-Date=", "x-amz-date="),
		"presigned: key twice":          query("Version=2011-06-15", "Version=2011-06-15&Action=GetCallerIdentity"),
		"presigned: key in two cases":   query("Version=2011-06-15", "Version=2011-06-15&action=AssumeRole"),
		"presigned: another key":        query("Version=2011-06-15", "Version=2011-06-15&RoleArn=x"),
		"presigned: empty key":          query("Version=2011-06-15", "Version=2011-06-15&"),
		"presigned: plus":               query("X-Amz-Expires=60", "X-Amz-Expires=+60"),
		"presigned: semicolon":          query("&Version=", ";Version="),
		"presigned: fragment":           query("Version=2011-06-15", "Version=2011-06-15#"),
		"presigned: another algorithm":  query("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
		"presigned: no expiry":          query("X-Amz-Expires=60", "X-Amz-Expires="),
		"presigned: negative expiry":    query("X-Amz-Expires=60", "X-Amz-Expires=-60"),
		"presigned: more than a week":   query("X-Amz-Expires=60", "X-Amz-Expires=604801"),
		"presigned: octal":              query("X-Amz-Expires=60", "X-Amz-Expires=060"),
		"presigned with a body":         {URL: signed.URL, Body: callBody, Headers: signed.Headers},
		"presigned with an accept":      withHeaders(signed, map[string]string{"Accept": "text/xml"}),
		"presigned with a header's too": withHeaders(signed, map[string]string{"Authorization": "AWS4-HMAC-SHA256 x"}),
	}
	for name, proof := range tests {
		t.Run(name, func(t *testing.T) { refusedUnasked(t, s, proof, countersign.BadToken) })
	}
}

// TestVulnerability3 is CVE-2022-2385: what comes twice is never read twice.
func TestVulnerability3(t *testing.T) {
	t.Parallel()
	s := newSTS(t, nil)
	good := signPost(t, s.URL+"/", keyPair, nil)
	insert := func(text string) trust.AWSProof {
		p := good
		p.Headers = "{" + text + "," + p.Headers[1:]
		return p
	}
	tests := map[string]trust.AWSProof{
		"a header twice":            insert(`"X-Amz-Date":"20270115T080000Z"`),
		"in another case":           insert(`"x-amz-date":"20270115T080000Z"`),
		"escaped":                   insert(`"X-Amz-Dat\u0065":"20270115T080000Z"`),
		"the authorization twice":   insert(`"authorization":"x"`),
		"ours twice":                insert(`"X-COUNTERSIGN-SERVER-ID":"evil"`),
		"the same value":            insert(`"x-countersign-server-id":"` + serverID + `"`),
		"a list":                    insert(`"User-Agent":["x"]`),
		"a number":                  insert(`"Content-Length":43`),
		"null":                      insert(`"User-Agent":null`),
		"an object":                 insert(`"User-Agent":{"a":"b"}`),
		"an empty name":             insert(`"":"b"`),
		"underscores":               insert(`"User_Agent":"b"`),
		"a list of pairs":           {URL: good.URL, Body: good.Body, Headers: `[["Authorization","x"]]`},
		"nothing":                   {URL: good.URL, Body: good.Body},
		"null alone":                {URL: good.URL, Body: good.Body, Headers: `null`},
		"two objects":               {URL: good.URL, Body: good.Body, Headers: good.Headers + good.Headers},
		"something behind":          {URL: good.URL, Body: good.Body, Headers: good.Headers + "x"},
		"not closed":                {URL: good.URL, Body: good.Body, Headers: strings.TrimSuffix(good.Headers, "}")},
		"not UTF-8":                 insert("\"User-Agent\":\"\xff\""),
		"half a pair of surrogates": insert(`"User-Agent":"\ud800"`),
		"too long":                  insert(`"User-Agent":"` + strings.Repeat("x", 17<<10) + `"`),
		"too long a value":          insert(`"User-Agent":"` + strings.Repeat("x", 513) + `"`),
	}
	for name, proof := range tests {
		t.Run(name, func(t *testing.T) { refusedUnasked(t, s, proof, countersign.BadToken) })
	}
}

func TestAWSAuthorizationIsReadStrictly(t *testing.T) {
	t.Parallel()
	s := newSTS(t, nil)
	good := signPost(t, s.URL+"/", sessionKeys(), nil)
	replace := func(from, to string) trust.AWSProof {
		p := good
		p.Headers = strings.Replace(p.Headers, from, to, 1)
		if p.Headers == good.Headers {
			t.Fatalf("nothing to replace: %s", from)
		}
		return p
	}
	tests := map[string]trust.AWSProof{
		"none":                     withHeaders(good, map[string]string{"Authorization": ""}),
		"bearer":                   withHeaders(good, map[string]string{"Authorization": "Bearer x"}),
		"another algorithm":        replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
		"another service":          replace("/sts/aws4_request", "/s3/aws4_request"),
		"another end":              replace("aws4_request", "aws5_request"),
		"no region":                replace("/us-east-1/", "//"),
		"a region with a slash":    replace("us-east-1", "us/east"),
		"another day":              replace("20270115/", "20270114/"),
		"no key id":                replace("ASIAIOSFODNN7EXAMPLE", ""),
		"a key id with a dot":      replace("ASIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPL."),
		"a signature in capitals":  capitals(good),
		"a short signature":        shorter(good),
		"parts in another order":   replace("Credential=", "Signature=x, Credential="),
		"unsorted":                 replace("content-type;host", "host;content-type"),
		"twice":                    replace("content-type;host", "content-type;host;host"),
		"in capitals":              replace("content-type;host", "Content-Type;host"),
		"empty":                    replace("content-type;host", "content-type;;host"),
		"signs what is not there":  replace("content-type;host", "content-length;content-type;host"),
		"signs its own header":     replace("SignedHeaders=", "SignedHeaders=authorization;"),
		"does not sign the host":   replace("content-type;host;", "content-type;"),
		"does not sign the date":   replace("x-amz-date;", ""),
		"does not sign the token":  replace("x-amz-security-token;", ""),
		"no date":                  withHeaders(good, map[string]string{"X-Amz-Date": ""}),
		"a date header":            withHeaders(good, map[string]string{"Date": "Fri, 15 Jan 2027 08:00:00 GMT"}),
		"a date in words":          withHeaders(good, map[string]string{"X-Amz-Date": "2027-01-15T08:00:00Z"}),
		"a date that is none":      withHeaders(good, map[string]string{"X-Amz-Date": "20270132T080000Z"}),
		"a token with a blank":     withHeaders(good, map[string]string{"X-Amz-Security-Token": "a b"}),
		"a token that is too long": withHeaders(good, map[string]string{"X-Amz-Security-Token": strings.Repeat("a", 4097)}),
	}
	for name, proof := range tests {
		t.Run(name, func(t *testing.T) { refusedUnasked(t, s, proof, countersign.BadToken) })
	}
}

func capitals(p trust.AWSProof) trust.AWSProof {
	at := strings.Index(p.Headers, "Signature=") + len("Signature=")
	p.Headers = p.Headers[:at] + strings.ToUpper(p.Headers[at:at+64]) + p.Headers[at+64:]
	return p
}

func shorter(p trust.AWSProof) trust.AWSProof {
	at := strings.Index(p.Headers, "Signature=") + len("Signature=")
	p.Headers = p.Headers[:at] + p.Headers[at+1:]
	return p
}

func TestVulnerability5ServerID(t *testing.T) {
	t.Parallel()
	s := newSTS(t, nil)
	url := s.URL + "/"
	presigned := presign(t, url, keyPair, 60)
	tests := map[string]trust.AWSProof{
		"none":                withHeaders(signPost(t, url, keyPair, map[string]string{"X-Countersign-Server-Id": ""}), nil),
		"unsigned":            withHeaders(signPost(t, url, keyPair, map[string]string{"X-Countersign-Server-Id": ""}), map[string]string{"X-Countersign-Server-Id": serverID}),
		"another's":           signPost(t, url, keyPair, map[string]string{"X-Countersign-Server-Id": "other.example.com"}),
		"in other case":       signPost(t, url, keyPair, map[string]string{"X-Countersign-Server-Id": strings.ToUpper(serverID)}),
		"longer":              signPost(t, url, keyPair, map[string]string{"X-Countersign-Server-Id": serverID + ", x"}),
		"presigned: none":     {URL: presigned.URL, Headers: `{}`},
		"presigned: another":  withHeaders(presigned, map[string]string{"X-Countersign-Server-Id": "other.example.com"}),
		"presigned: unsigned": {URL: strings.Replace(presigned.URL, "host%3Bx-countersign-server-id", "host", 1), Headers: presigned.Headers},
	}
	for name, proof := range tests {
		t.Run(name, func(t *testing.T) {
			refusedUnasked(t, s, proof, countersign.BadToken)
			if name == "none" || name == "unsigned" || name == "another's" {
				if _, err := login(t, s, proof); countersign.ReasonOf(err) != countersign.ReasonProofServerID && name != "none" {
					t.Errorf("reason %s", countersign.ReasonOf(err))
				}
			}
		})
	}
}
