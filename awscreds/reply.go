package awscreds

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/countersign/countersign"
)

// namespace is that of every element an STS writes.
const namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// maxCredentialBytes bounds a secret access key and a session token: they have to fit
// into headers.
const maxCredentialBytes = 16 << 10

// credentialsXML is the inside of Credentials; user that of AssumedRoleUser.
type credentialsXML struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string `xml:"SecretAccessKey"`
	SessionToken    string `xml:"SessionToken"`
	Expiration      string `xml:"Expiration"`
}

type resultXML struct {
	Credentials []credentialsXML `xml:"Credentials"`
	User        struct {
		ARN string `xml:"Arn"`
	} `xml:"AssumedRoleUser"`
}

// parseCredentials reads the answer to either action. AssumeRoleWithAWSIdentity may answer
// under the name of the other one, as the proposal that it comes from does.
//
// Errors: [countersign.Upstream].
// Source: AWS STS API reference, AssumeRoleWithWebIdentity "Response Elements".
func parseCredentials(body []byte) (aws.Credentials, error) {
	var answer struct {
		XMLName xml.Name
		Web     []resultXML `xml:"AssumeRoleWithWebIdentityResult"`
		AWS     []resultXML `xml:"AssumeRoleWithAWSIdentityResult"`
	}
	if err := parseXML(body, &answer); err != nil {
		return aws.Credentials{}, err
	}
	results := append(answer.Web, answer.AWS...)
	root := answer.XMLName.Local
	switch {
	case answer.XMLName.Space != namespace,
		root != "AssumeRoleWithWebIdentityResponse" && root != "AssumeRoleWithAWSIdentityResponse":
		return aws.Credentials{}, badAnswer("is not that of an sts")
	case len(results) != 1 || len(results[0].Credentials) != 1:
		return aws.Credentials{}, badAnswer("does not hold one set of credentials")
	}
	c := results[0].Credentials[0]
	expires, err := time.Parse(time.RFC3339, strings.TrimSpace(c.Expiration))
	switch {
	case !plainText(c.AccessKeyID, 16, 128), !plainText(c.SecretAccessKey, 1, maxCredentialBytes), !plainText(c.SessionToken, 1, maxCredentialBytes):
		return aws.Credentials{}, badAnswer("has credentials that can't be used")
	case err != nil:
		return aws.Credentials{}, badAnswer("has no time of expiry")
	}
	return aws.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
		CanExpire: true, Expires: expires, AccountID: accountOf(results[0].User.ARN),
	}, nil
}

// accountOf returns the account of an ARN; "" when it is none.
func accountOf(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || len(parts[4]) != 12 || strings.Trim(parts[4], "0123456789") != "" {
		return ""
	}
	return parts[4]
}

// parseXML decodes one document: nothing but white space stands before or after it, and
// its declarations define nothing. The cause of a failure is not kept: it may quote the
// body, which holds secrets.
func parseXML(body []byte, into any) error {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	start, err := firstElement(decoder)
	if err != nil {
		return badAnswer("is not the xml of an sts")
	}
	if decoder.DecodeElement(into, &start) != nil {
		return badAnswer("is not the xml of an sts")
	}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if text, ok := token.(xml.CharData); err != nil || !ok || len(bytes.TrimSpace(text)) != 0 {
			return badAnswer("has something behind its xml")
		}
	}
}

// firstElement skips the declaration and white space only.
func firstElement(decoder *xml.Decoder) (xml.StartElement, error) {
	for {
		token, err := decoder.Token()
		if err != nil {
			return xml.StartElement{}, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			return t, nil
		case xml.ProcInst:
		case xml.CharData:
			if len(bytes.TrimSpace(t)) != 0 {
				return xml.StartElement{}, errBadXML
			}
		default:
			return xml.StartElement{}, errBadXML
		}
	}
}

var errBadXML = errors.New("not the start of a document")

func badAnswer(what string) error {
	return countersign.NewError(countersign.Upstream, "", "the sts's answer "+what)
}

// parseRefusal reads an answer that is not a success.
//
// Source: AWS STS API reference, "Common Errors".
func parseRefusal(resp *http.Response, body []byte, now time.Time, sent []countersign.Secret) error {
	var answer struct {
		XMLName xml.Name
		Errors  []struct {
			Code    string `xml:"Code"`
			Message string `xml:"Message"`
		} `xml:"Error"`
		RequestID string `xml:"RequestId"`
	}
	e := &Error{StatusCode: resp.StatusCode, code: "HTTP" + strconv.Itoa(resp.StatusCode)}
	// Not the XML of an STS: the status has to do.
	if parseXML(body, &answer) == nil && answer.XMLName.Local == "ErrorResponse" && len(answer.Errors) == 1 {
		if code := strings.TrimPrefix(answer.Errors[0].Code, "Sender."); isWord(code) && safeText(code, sent) == code {
			e.code = code
		}
		e.message = safeText(answer.Errors[0].Message, sent)
		if id := safeText(answer.RequestID, sent); len(id) <= 128 {
			e.RequestID = id
		}
	}
	means := meaning(resp.StatusCode, e.code)
	e.cause = countersign.Error{Code: means.code, Reason: means.reason, Msg: e.Error()}
	if isOutage(&e.cause) {
		e.cause.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), now)
	}
	return e
}

// isWord reports whether text can be an error code.
func isWord(text string) bool {
	for _, c := range []byte(text) {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' {
			return false
		}
	}
	return text != "" && len(text) <= 64
}
