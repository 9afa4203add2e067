package authtest

import (
	"errors"
	"io"
	"net/http"
	"net/url"
)

// maxAWSBody is what AWS's Query API takes.
const maxAWSBody = 1 << 20

// ServeHTTP answers as https://sts.amazonaws.com does.
//
// Source: AWS STS API Reference, 2011-06-15.
func (s *AWSSTS) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAWSBody))
	form := make(url.Values)
	if err == nil {
		form, err = awsForm(r, body)
	}
	call := AWSCall{Method: r.Method, Path: r.URL.Path, Action: form.Get("Action"), Header: r.Header.Clone()}
	reply := s.takeReply()
	var answer awsAnswer
	refusal := &awsError{}
	switch {
	case reply != nil:
		s.remember(call)
		reply(w, r)
		return
	case err != nil:
		refusal = &awsError{http.StatusBadRequest, "MalformedQueryString", "The query string is malformed"}
	default:
		answer, err = s.answer(r, form, body, &call)
		if err != nil && !errors.As(err, &refusal) {
			refusal = &awsError{http.StatusInternalServerError, "InternalFailure", ""}
		}
	}
	call.Error = refusal.code
	s.remember(call)
	asJSON := r.Header.Get("Accept") == "application/json" // AWS does so too
	if err != nil {
		writeAWSError(w, asJSON, refusal)
		return
	}
	writeAWS(w, asJSON, http.StatusOK, answer)
}

// awsForm merges query and body, as AWS does: what our own server sends there must be
// safe without the help of whom it asks.
func awsForm(r *http.Request, body []byte) (url.Values, error) {
	form, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, err
	}
	if r.Method != http.MethodPost {
		return form, nil
	}
	posted, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	for name, values := range posted {
		form[name] = append(values, form[name]...)
	}
	return form, nil
}

func (s *AWSSTS) answer(r *http.Request, form url.Values, body []byte, call *AWSCall) (awsAnswer, error) {
	if version := form.Get("Version"); version != "" && version != "2011-06-15" {
		return nil, &awsError{http.StatusBadRequest, "NoSuchVersion", "The requested version (" + version + ") of service AWSSecurityTokenService does not exist"}
	}
	switch form.Get("Action") {
	case "GetCallerIdentity":
		return s.callerIdentity(r, body, call)
	case "AssumeRoleWithWebIdentity":
		return s.assumeRoleWithWebIdentity(r.Context(), form)
	case "":
		return nil, &awsError{http.StatusBadRequest, "MissingAction", "Missing Action"}
	default:
		return nil, &awsError{http.StatusBadRequest, "InvalidAction", "Could not find operation " + form.Get("Action") + " for version 2011-06-15"}
	}
}

func (s *AWSSTS) callerIdentity(r *http.Request, body []byte, call *AWSCall) (awsAnswer, error) {
	identity, err := s.authenticate(r, body, call)
	if err != nil {
		return nil, err
	}
	return callerIdentityResponse{
		Result: callerIdentityResult{ARN: identity.ARN, UserID: identity.UserID, Account: identity.Account},
	}, nil
}

func (s *AWSSTS) remember(call AWSCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.calls) < maxAWSCalls {
		s.calls = append(s.calls, call)
	}
}
