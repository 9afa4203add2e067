package sts

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"strconv"
	"time"

	"github.com/countersign/countersign/internal/session"
)

// namespace is that of AWS's own answers.
const namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// metadata ends every answer.
type metadata struct {
	RequestID string `xml:"RequestId"`
}

type errorBody struct {
	XMLName   xml.Name `xml:"ErrorResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Error     struct {
		Type    string
		Code    string
		Message string
	}
	RequestID string `xml:"RequestId"`
}

type credentialsBody struct {
	AccessKeyID     string `xml:"AccessKeyId"`
	SecretAccessKey string
	SessionToken    string
	Expiration      string
}

type assumedRoleBody struct {
	AssumedRoleID string `xml:"AssumedRoleId"`
	ARN           string `xml:"Arn"`
}

// assumedBody is the result of every action that assumes a role; the fields of one are
// empty in the others.
type assumedBody struct {
	Subject          string `xml:"SubjectFromWebIdentityToken,omitempty"`
	Audience         string `xml:",omitempty"`
	AssumedRoleUser  assumedRoleBody
	Credentials      credentialsBody
	Provider         string `xml:",omitempty"`
	PackedPolicySize int    `xml:",omitempty"`
}

// assumedAnswer is named after its action, as the Query protocol has it.
type assumedAnswer struct {
	action   string
	result   assumedBody
	metadata metadata
}

// MarshalXML implements xml.Marshaler.
//
// Errors: those of the encoder.
func (a assumedAnswer) MarshalXML(e *xml.Encoder, _ xml.StartElement) error {
	start := xml.StartElement{Name: xml.Name{Local: a.action + "Response"}, Attr: []xml.Attr{{Name: xml.Name{Local: "xmlns"}, Value: namespace}}}
	if err := e.EncodeToken(start); err != nil {
		return err //nolint:wrapcheck // the encoder's own
	}
	if err := e.EncodeElement(a.result, xml.StartElement{Name: xml.Name{Local: a.action + "Result"}}); err != nil {
		return err //nolint:wrapcheck // the encoder's own
	}
	if err := e.EncodeElement(a.metadata, xml.StartElement{Name: xml.Name{Local: "ResponseMetadata"}}); err != nil {
		return err //nolint:wrapcheck // the encoder's own
	}
	return e.EncodeToken(start.End()) //nolint:wrapcheck // the encoder's own
}

type callerBody struct {
	XMLName   xml.Name `xml:"GetCallerIdentityResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Result    struct {
		ARN     string `xml:"Arn"`
		UserID  string `xml:"UserId"`
		Account string
	} `xml:"GetCallerIdentityResult"`
	Metadata metadata `xml:"ResponseMetadata"`
}

type accessKeyBody struct {
	XMLName   xml.Name `xml:"GetAccessKeyInfoResponse"`
	Namespace string   `xml:"xmlns,attr"`
	Result    struct {
		Account string
	} `xml:"GetAccessKeyInfoResult"`
	Metadata metadata `xml:"ResponseMetadata"`
}

func newCredentialsBody(c session.Credentials) credentialsBody {
	return credentialsBody{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey.Reveal(), SessionToken: c.SessionToken.Reveal(),
		Expiration: c.ExpiresAt.UTC().Format(time.RFC3339),
	}
}

// writeXML writes an answer. It holds credentials: nobody may keep it.
func writeXML(w http.ResponseWriter, status int, body any) {
	var out bytes.Buffer
	if err := xml.NewEncoder(&out).Encode(body); err != nil {
		panic("sts: an answer can't be encoded: " + err.Error()) // ours alone: web answers 500
	}
	out.WriteByte('\n')
	header := w.Header()
	header.Set("Content-Type", "text/xml; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(out.Len()))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // an error means that the client has gone
}
