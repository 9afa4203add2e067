package authtest

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"net/http"
)

// awsError is a refusal in AWS's words.
type awsError struct {
	status        int
	code, message string
}

func (e *awsError) Error() string { return e.code + ": " + e.message }

type responseMetadata struct {
	RequestID string `xml:"RequestId" json:"RequestId"`
}

type callerIdentityResult struct {
	ARN     string `xml:"Arn" json:"Arn"`
	UserID  string `xml:"UserId" json:"UserId"`
	Account string `xml:"Account" json:"Account"`
}

type callerIdentityResponse struct {
	XMLName  xml.Name             `xml:"https://sts.amazonaws.com/doc/2011-06-15/ GetCallerIdentityResponse" json:"-"`
	Result   callerIdentityResult `xml:"GetCallerIdentityResult" json:"GetCallerIdentityResult"`
	Metadata responseMetadata     `xml:"ResponseMetadata" json:"ResponseMetadata"`
}

func (r callerIdentityResponse) withID(id string) (string, any) {
	r.Metadata.RequestID = id
	return "GetCallerIdentityResponse", r
}

type awsCredentials struct {
	AccessKeyID     string `xml:"AccessKeyId" json:"AccessKeyId"`
	SecretAccessKey string `xml:"SecretAccessKey" json:"SecretAccessKey"`
	SessionToken    string `xml:"SessionToken" json:"SessionToken"`
	Expiration      string `xml:"Expiration" json:"Expiration"`
}

type assumedRoleUser struct {
	ID  string `xml:"AssumedRoleId" json:"AssumedRoleId"`
	ARN string `xml:"Arn" json:"Arn"`
}

type webIdentityResult struct {
	Subject          string          `xml:"SubjectFromWebIdentityToken" json:"SubjectFromWebIdentityToken"`
	Audience         string          `xml:"Audience" json:"Audience"`
	AssumedRoleUser  assumedRoleUser `xml:"AssumedRoleUser" json:"AssumedRoleUser"`
	Credentials      awsCredentials  `xml:"Credentials" json:"Credentials"`
	Provider         string          `xml:"Provider" json:"Provider"`
	PackedPolicySize int             `xml:"PackedPolicySize,omitempty" json:"PackedPolicySize,omitempty"`
}

type webIdentityResponse struct {
	XMLName  xml.Name          `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleWithWebIdentityResponse" json:"-"`
	Result   webIdentityResult `xml:"AssumeRoleWithWebIdentityResult" json:"AssumeRoleWithWebIdentityResult"`
	Metadata responseMetadata  `xml:"ResponseMetadata" json:"ResponseMetadata"`
}

func (r webIdentityResponse) withID(id string) (string, any) {
	r.Metadata.RequestID = id
	return "AssumeRoleWithWebIdentityResponse", r
}

type errorBody struct {
	Type    string `xml:"Type" json:"Type"`
	Code    string `xml:"Code" json:"Code"`
	Message string `xml:"Message" json:"Message"`
}

type errorResponse struct {
	XMLName   xml.Name  `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse" json:"-"`
	Error     errorBody `xml:"Error" json:"Error"`
	RequestID string    `xml:"RequestId" json:"RequestId"`
}

func (r errorResponse) withID(id string) (string, any) {
	r.RequestID = id
	return "", r
}

// awsAnswer is a reply that takes the request's id; its name wraps it in JSON.
type awsAnswer interface {
	withID(id string) (name string, answer any)
}

func writeAWSError(w http.ResponseWriter, asJSON bool, e *awsError) {
	kind := "Sender"
	if e.status >= http.StatusInternalServerError {
		kind = "Receiver"
	}
	writeAWS(w, asJSON, e.status, errorResponse{Error: errorBody{Type: kind, Code: e.code, Message: e.message}})
}

func writeAWS(w http.ResponseWriter, asJSON bool, status int, a awsAnswer) {
	id := requestID()
	name, answer := a.withID(id)
	contentType := "text/xml"
	encode := xml.MarshalIndent
	if asJSON {
		contentType, encode = "application/json", json.MarshalIndent
		if name != "" {
			answer = map[string]any{name: answer}
		}
	}
	body, err := encode(answer, "", "  ")
	if err != nil {
		http.Error(w, "can't be written", http.StatusInternalServerError)
		return
	}
	w.Header().Set("X-Amzn-Requestid", id)
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}

// requestID looks like a UUID, as AWS's do.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	text := hex.EncodeToString(b[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}
