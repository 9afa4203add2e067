package iamclient

import "time"

// Report is the body of POST /system/audit/events: what a receiver decided.
type Report struct {
	// BatchID is 1 to 64 letters, digits, "-" and "_"; a batch that is sent again
	// with the same id is stored once.
	BatchID string          `json:"batch_id"`
	Events  []ReportedEvent `json:"events"`
}

// ReportedEvent is one decision of a receiver, or several alike.
type ReportedEvent struct {
	// ID is the request id that a denied caller was told; "" = the server gives one.
	ID   string    `json:"id,omitempty"`
	Time time.Time `json:"time"`
	// Decision is "allowed" or "denied"; Reason a countersign.Reason.
	Decision   string `json:"decision"`
	Reason     string `json:"reason"`
	Service    string `json:"service,omitempty"`
	ServiceUID string `json:"service_uid,omitempty"`
	// UserIssuer and User come together or not at all.
	UserIssuer string `json:"user_issuer,omitempty"`
	User       string `json:"user,omitempty"`
	Target     string `json:"target,omitempty"`
	Method     string `json:"method,omitempty"`
	Route      string `json:"route,omitempty"`
	Rule       string `json:"rule,omitempty"`
	// Count is how many decisions this stands for, 1 to 10^9; left out = 1.
	Count *int64 `json:"count,omitempty"`
}

// ReportAccepted answers a [Report]: the events are stored.
type ReportAccepted struct {
	Accepted int `json:"accepted"`
}
