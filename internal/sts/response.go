package sts

import (
	"bytes"
	"encoding/xml"
	"net/http"
	"strconv"
	"strings"
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
	AccessKeyID, SecretAccessKey, SessionToken, Expiration string
}

type assumedRoleBody struct{ AssumedRoleID, ARN string }

// assumedBody is the result of every action that assumes a role; the fields of one are
// empty in the others.
type assumedBody struct {
	Subject, Audience string
	AssumedRoleUser   assumedRoleBody
	Credentials       credentialsBody
	Provider          string
	PackedPolicySize  int
}

// assumedAnswer is named after its action, as the Query protocol has it. It is written
// without reflection: it is the answer that there are most of.
type assumedAnswer struct {
	action   string
	result   assumedBody
	metadata metadata
}

// appendXML appends the answer.
func (a *assumedAnswer) appendXML(b []byte) []byte {
	r := &a.result
	b = append(append(append(b, '<'), a.action...), `Response xmlns="`+namespace+`"><`...)
	b = append(append(b, a.action...), `Result>`...)
	b = appendOptional(b, "SubjectFromWebIdentityToken", r.Subject)
	b = appendOptional(b, "Audience", r.Audience)
	b = append(b, `<AssumedRoleUser>`...)
	b = appendElement(b, "AssumedRoleId", r.AssumedRoleUser.AssumedRoleID)
	b = appendElement(b, "Arn", r.AssumedRoleUser.ARN)
	b = append(b, `</AssumedRoleUser><Credentials>`...)
	b = appendElement(b, "AccessKeyId", r.Credentials.AccessKeyID)
	b = appendElement(b, "SecretAccessKey", r.Credentials.SecretAccessKey)
	b = appendElement(b, "SessionToken", r.Credentials.SessionToken)
	b = appendElement(b, "Expiration", r.Credentials.Expiration)
	b = append(b, `</Credentials>`...)
	b = appendOptional(b, "Provider", r.Provider)
	if r.PackedPolicySize != 0 {
		b = appendElement(b, "PackedPolicySize", strconv.Itoa(r.PackedPolicySize))
	}
	b = append(append(append(b, `</`...), a.action...), `Result><ResponseMetadata>`...)
	b = appendElement(b, "RequestId", a.metadata.RequestID)
	return append(append(append(b, `</ResponseMetadata></`...), a.action...), `Response>`...)
}

func appendOptional(b []byte, name, text string) []byte {
	if text == "" {
		return b
	}
	return appendElement(b, name, text)
}

// appendElement appends an element with a text, of which nothing is taken for markup.
func appendElement(b []byte, name, text string) []byte {
	b = append(append(append(b, '<'), name...), '>')
	if isPlain(text) {
		b = append(b, text...)
	} else {
		var escaped bytes.Buffer
		_ = xml.EscapeText(&escaped, []byte(text)) // a buffer takes everything
		b = append(b, escaped.Bytes()...)
	}
	return append(append(append(b, `</`...), name...), '>')
}

// isPlain reports whether text means itself in XML.
func isPlain(text string) bool {
	for i := range len(text) {
		if !plain[text[i]] {
			return false
		}
	}
	return true
}

// plain are the bytes of printable ASCII that XML has no use for.
var plain = func() (set [256]bool) {
	for c := ' '; c <= '~'; c++ {
		set[c] = !strings.ContainsRune(`<>&"'`, c)
	}
	return set
}()

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

// answerBytes has room for credentials with a session that is not too long.
const answerBytes = 1536

// writeXML writes an answer. It holds credentials: nobody may keep it.
func writeXML(w http.ResponseWriter, status int, body any) {
	var out []byte
	if assumed, ok := body.(*assumedAnswer); ok {
		out = assumed.appendXML(make([]byte, 0, answerBytes))
	} else {
		var err error
		if out, err = xml.Marshal(body); err != nil {
			panic("sts: an answer can't be encoded: " + err.Error()) // ours alone: web answers 500
		}
	}
	out = append(out, '\n')
	header := w.Header()
	header.Set("Content-Type", "text/xml; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(out)))
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(out) //nolint:gosec // G705: every text in it is escaped, and no browser takes XML for a page; an error means that the client has gone
}
