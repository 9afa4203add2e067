package awscreds_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/awscreds"
)

func refusalOf(t *testing.T, status int, body string) error {
	t.Helper()
	e := &endpoint{}
	e.set(func(*http.Request, url.Values) (int, http.Header, string) { return status, nil, body })
	_, err := newWeb(t, webConfig(e)).Retrieve(t.Context())
	if err == nil {
		t.Fatalf("%d %s: credentials", status, body)
	}
	return err
}

func TestErrorsInBothVocabularies(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		code   string
		want   countersign.Code
		fault  smithy.ErrorFault
	}{
		{400, "InvalidIdentityToken", countersign.BadToken, smithy.FaultClient},
		{400, "ExpiredTokenException", countersign.Expired, smithy.FaultClient},
		{403, "ExpiredToken", countersign.Expired, smithy.FaultClient},
		{403, "AccessDenied", countersign.Denied, smithy.FaultClient},
		{403, "IDPRejectedClaim", countersign.Denied, smithy.FaultClient},
		{400, "IDPCommunicationError", countersign.Upstream, smithy.FaultClient},
		{400, "MalformedPolicyDocument", countersign.BadPolicy, smithy.FaultClient},
		{400, "PackedPolicyTooLarge", countersign.TooLarge, smithy.FaultClient},
		{403, "RegionDisabledException", countersign.Denied, smithy.FaultClient},
		{400, "ValidationError", countersign.Invalid, smithy.FaultClient},
		{400, "MissingParameter", countersign.Invalid, smithy.FaultClient},
		{400, "InvalidAction", countersign.Unsupported, smithy.FaultClient},
		{403, "SignatureDoesNotMatch", countersign.BadSignature, smithy.FaultClient},
		{403, "InvalidClientTokenId", countersign.BadClient, smithy.FaultClient},
		{400, "Throttling", countersign.Throttled, smithy.FaultClient},
		{500, "InternalFailure", countersign.Unavailable, smithy.FaultServer},
		{503, "ServiceUnavailable", countersign.Unavailable, smithy.FaultServer},
		{503, "AccessDenied", countersign.Unavailable, smithy.FaultServer}, // a server that is down refuses nobody
		{429, "AccessDenied", countersign.Throttled, smithy.FaultClient},
		{400, "SomethingNew", countersign.Invalid, smithy.FaultClient},
		{403, "SomethingNew", countersign.Denied, smithy.FaultClient},
		{404, "SomethingNew", countersign.Upstream, smithy.FaultClient},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.status, test.code), func(t *testing.T) {
			t.Parallel()
			err := refusalOf(t, test.status, errorXML(test.code, "because &amp; so"))
			wantCode(t, err, test.want)
			var api smithy.APIError
			var own *awscreds.Error
			if !errors.As(err, &api) || !errors.As(err, &own) || !errors.Is(err, test.want) {
				t.Fatalf("%T %v", err, err)
			}
			if api.ErrorCode() != test.code || api.ErrorMessage() != "because & so" || api.ErrorFault() != test.fault {
				t.Errorf("%s %q %v", api.ErrorCode(), api.ErrorMessage(), api.ErrorFault())
			}
			if own.StatusCode != test.status || own.RequestID != "request-1" {
				t.Errorf("%+v", own)
			}
		})
	}
}

// What is no document of an STS is classed by its status alone.
func TestErrorsWithoutADocument(t *testing.T) {
	t.Parallel()
	bodies := []string{
		``, `nothing`, `{"Error":{"Code":"AccessDenied"}}`, `<html><body>AccessDenied</body></html>`,
		`<Error><Code>AccessDenied</Code></Error>`,
		`<ErrorResponse><Error><Code>AccessDenied</Code></Error><Error><Code>Throttling</Code></Error></ErrorResponse>`,
		errorXML("AccessDenied", "no") + "<more/>",
		errorXML("Access Denied", "no"),
		errorXML("", "no"),
		errorXML(strings.Repeat("A", 65), "no"),
	}
	for status, want := range map[int]countersign.Code{
		400: countersign.Invalid, 401: countersign.BadClient, 403: countersign.Denied, 404: countersign.Upstream,
		302: countersign.Upstream, 204: countersign.Upstream, 429: countersign.Throttled, 502: countersign.Unavailable,
	} {
		for _, body := range bodies {
			wantCode(t, refusalOf(t, status, body), want)
		}
	}
}

// Every error that the STS model knows for what is called here has a meaning of its own.
func TestEveryErrorOfTheModel(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../shared/vectors/sts-service-model.json")
	if err != nil {
		t.Skip("the vectors are not here")
	}
	var model struct {
		Operations map[string]struct{ Errors []struct{ Shape string } }
		Shapes     map[string]struct {
			Error struct {
				Code           string
				HTTPStatusCode int
			}
		}
	}
	if err := json.Unmarshal(raw, &model); err != nil {
		t.Fatal(err)
	}
	errs := model.Operations["AssumeRoleWithWebIdentity"].Errors
	if len(errs) == 0 {
		t.Fatal("the model names no errors")
	}
	for _, known := range errs {
		shape := model.Shapes[known.Shape].Error
		err := refusalOf(t, shape.HTTPStatusCode, errorXML(shape.Code, "no"))
		if got := countersign.CodeOf(err); got == countersign.Invalid || got == countersign.Internal || got == countersign.Unavailable {
			t.Errorf("%s is %s", shape.Code, got)
		}
	}
}

// TestVulnerability30NoSecretInErrors: an STS that repeats what it was sent.
func TestVulnerability30NoSecretInErrors(t *testing.T) {
	t.Parallel()
	const canary = "c2lnbmF0dXJlLWNhbmFyeQ" // the signature of the token that is sent
	for _, status := range []int{200, 302, 400, 401, 403, 429, 500} {
		for _, text := range []string{canary, canary[:16], "x" + canary + "y", "token " + canary[3:17] + " is bad"} {
			e := &endpoint{}
			e.set(func(_ *http.Request, form url.Values) (int, http.Header, string) {
				return status, http.Header{"Location": {text}, "Retry-After": {text}},
					`<ErrorResponse><Error><Code>` + strings.Fields(text)[0] + `</Code><Message>` + text + `</Message></Error><RequestId>` + text + `</RequestId></ErrorResponse>`
			})
			p := newWeb(t, webConfig(e))
			_, err := p.Retrieve(t.Context())
			var api smithy.APIError
			told := fmt.Sprintf("%v %+v %#v %s", err, err, err, countersign.MessageOf(err))
			if errors.As(err, &api) {
				told += api.ErrorCode() + api.ErrorMessage()
			}
			if strings.Contains(told, canary[3:15]) {
				t.Errorf("status %d: a piece of the token in %q", status, told)
			}
		}
	}
}

func TestErrorMessagesAreTextOfOneLine(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"Not authorized":         "Not authorized",
		"two\n  lines":           "two lines",
		"a bell \x7f":            "",
		strings.Repeat("x", 513): "",
		"":                       "",
	} {
		var api smithy.APIError
		if err := refusalOf(t, 403, errorXML("AccessDenied", message)); !errors.As(err, &api) || api.ErrorMessage() != want {
			t.Errorf("%q became %v", message, err)
		}
	}
}
