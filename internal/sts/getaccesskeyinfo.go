package sts

import (
	"net/http"
	"strings"
)

// getAccessKeyInfo says of which account an access key id is. As at AWS the id is not
// looked up: one of our form is taken for ours.
//
// Source: AWS STS API reference, GetAccessKeyInfo.
func (h *Handler) getAccessKeyInfo(r *http.Request, q query, d *decision) (any, error) {
	if _, err := h.signer(r, q, d); err != nil {
		return nil, err
	}
	id := q.form.Value("AccessKeyId")
	if id == "" {
		return nil, missing("AccessKeyId")
	}
	if len(id) != 20 || !strings.HasPrefix(id, "ASIA") && !strings.HasPrefix(id, "AKIA") ||
		strings.Trim(id[4:], "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return nil, invalid("AccessKeyId is not an access key id")
	}
	body := accessKeyBody{Namespace: namespace, Metadata: metadata{requestID(r)}}
	body.Result.Account = h.cfg.AccountID
	return body, nil
}
