package iam

import (
	"errors"
	"net/http"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
	"github.com/countersign/countersign/internal/resource"
	"github.com/countersign/countersign/internal/web"
)

// statusOf is what each code is on the wire.
var statusOf = map[countersign.Code]int{
	countersign.Invalid:         http.StatusBadRequest,
	countersign.BadHeader:       http.StatusBadRequest,
	countersign.Unsupported:     http.StatusBadRequest,
	countersign.Unauthenticated: http.StatusUnauthorized,
	countersign.BadClient:       http.StatusUnauthorized,
	countersign.BadSignature:    http.StatusUnauthorized,
	countersign.BadToken:        http.StatusUnauthorized,
	countersign.Expired:         http.StatusUnauthorized,
	countersign.Skewed:          http.StatusUnauthorized,
	countersign.BodyMismatch:    http.StatusBadRequest,
	countersign.Denied:          http.StatusForbidden,
	countersign.BadScope:        http.StatusBadRequest,
	countersign.BadTarget:       http.StatusBadRequest,
	countersign.BadPolicy:       http.StatusBadRequest,
	countersign.TooLarge:        http.StatusRequestEntityTooLarge,
	countersign.NotFound:        http.StatusNotFound,
	countersign.Conflict:        http.StatusConflict,
	countersign.Precondition:    http.StatusPreconditionRequired,
	countersign.Throttled:       http.StatusTooManyRequests,
	countersign.Upstream:        http.StatusBadGateway,
	countersign.Unavailable:     http.StatusServiceUnavailable,
	countersign.Internal:        http.StatusInternalServerError,
}

// statusOfReason refines the table where HTTP has a status of its own for it.
var statusOfReason = map[countersign.Reason]int{
	countersign.ReasonRevisionMismatch: http.StatusPreconditionFailed,
	countersign.ReasonMethod:           http.StatusMethodNotAllowed,
	countersign.ReasonMediaType:        http.StatusUnsupportedMediaType,
}

// writeError answers with a problem document.
//
// Source: RFC 9457 §3, RFC 6750 §3.
func (a *API) writeError(w http.ResponseWriter, r *http.Request, err error) {
	code, reason := countersign.CodeOf(err), countersign.ReasonOf(err)
	status, known := statusOf[code]
	if !known {
		code, status = countersign.Internal, http.StatusInternalServerError
	}
	if refined, ok := statusOfReason[reason]; ok && code != countersign.Internal {
		status = refined
	}
	problem := iamclient.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: countersign.MessageOf(err), Code: string(code), RequestID: web.RequestID(r.Context()),
	}
	if code == countersign.Internal {
		problem.Detail = "something went wrong here; the log has it under this request id"
	}
	if a.mayKnowReason(r) {
		problem.Reason = string(reason)
	}
	if documents, ok := errors.AsType[*resource.Error](err); ok && code == countersign.Invalid {
		problem.Detail, problem.MoreProblems = "the documents are refused, all of them", documents.More
		for _, p := range documents.Problems {
			problem.Problems = append(problem.Problems, iamclient.ResourceProblem(p))
		}
	}
	header := w.Header()
	if scope := wantedScope(err); status == http.StatusUnauthorized || scope != "" {
		header.Set("WWW-Authenticate", challenge(code, scope))
	}
	if status == http.StatusServiceUnavailable && header.Get("Retry-After") == "" {
		web.SetRetryAfter(header, time.Second) // web.Handle has set the error's own
	}
	header.Set("Content-Type", iamclient.ProblemType)
	// An error here means that the client is gone.
	_ = web.WriteJSON(w, status, problem)
}

// mayKnowReason: whoever can open the Unix socket owns the data folder (RULES G9).
func (a *API) mayKnowReason(r *http.Request) bool {
	_, local := web.PeerUID(r.Context())
	return local || a.exposeReasons
}

// challenge says what to bring; no error word when nothing came (RFC 6750 §3.1).
func challenge(code countersign.Code, scope string) string {
	const scheme = `Bearer realm="countersign"`
	switch {
	case scope != "":
		return scheme + `, error="insufficient_scope", scope="` + scope + `"`
	case code == countersign.Unauthenticated:
		return scheme
	default:
		return scheme + `, error="invalid_token"`
	}
}
