package authtest

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// AWSReply takes the place of an answer of [AWSSTS]: what AWS says on a bad day, and
// what somebody says who is not AWS.
type AWSReply func(w http.ResponseWriter, r *http.Request)

// ReplyNext answers the next requests with replies, one each, whatever they ask. They
// count as calls.
func (s *AWSSTS) ReplyNext(replies ...AWSReply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = append(s.next, replies...)
}

// ReplyAlways answers every request with reply; nil ends that.
func (s *AWSSTS) ReplyAlways(reply AWSReply) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.always = reply
}

func (s *AWSSTS) takeReply() AWSReply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.next) > 0 {
		reply := s.next[0]
		s.next = s.next[1:]
		return reply
	}
	return s.always
}

// AWSThrottling is AWS's answer to too many requests.
func AWSThrottling() AWSReply {
	return AWSErrorReply(http.StatusBadRequest, "Throttling", "Rate exceeded")
}

// AWSErrorReply is an error as AWS writes it.
func AWSErrorReply(status int, code, message string) AWSReply {
	return func(w http.ResponseWriter, _ *http.Request) {
		writeAWSError(w, false, &awsError{status: status, code: code, message: message})
	}
}

// AWSIdentityReply says that the caller is somebody, without any check, in the XML of
// GetCallerIdentity: for identities that contradict themselves.
func AWSIdentityReply(account, arn, userID string) AWSReply {
	return func(w http.ResponseWriter, _ *http.Request) {
		writeAWS(w, false, http.StatusOK, callerIdentityResponse{
			Result: callerIdentityResult{ARN: arn, UserID: userID, Account: account},
		})
	}
}

// RawReply is any answer at all.
func RawReply(status int, contentType, body string) AWSReply {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// RedirectReply sends the client somewhere else.
func RedirectReply(status int, url string) AWSReply {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, url, status) }
}

// HugeReply is XML with n bytes before its content comes.
func HugeReply(n int) AWSReply {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		const piece = 4096
		for ; n > 0; n -= piece {
			if _, err := io.WriteString(w, strings.Repeat(" ", min(n, piece))); err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, "<GetCallerIdentityResponse/>")
	}
}

// HangReply begins an answer and never ends it: it is over when the client gives up or
// the double is closed.
func HangReply() AWSReply {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// CutReply announces a longer body than it sends.
func CutReply(body string) AWSReply {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/xml")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+100))
		_, _ = io.WriteString(w, body)
	}
}
