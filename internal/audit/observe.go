package audit

// Observer counts, for metrics. It must not wait; package telemetry has one.
type Observer interface {
	// Decided tells of one decision of this process, and of its reports as such.
	Decided(action, decision, reason string)
	// AuditCommitted tells of one durable write of that many events, AuditDropped of
	// events that are lost.
	AuditCommitted(events int)
	AuditDropped(events int)
}

// reported stands for the reasons that receivers report: they are not ours to bound.
const reported = "reported"

func (l *Log) observe(e *Event) {
	reason := e.Reason
	if e.ReportedBy != "" {
		reason = reported
	}
	l.cfg.Observer.Decided(e.Action, string(e.Decision), reason)
}

type unobserved struct{}

func (unobserved) Decided(_, _, _ string) {}
func (unobserved) AuditCommitted(int)     {}
func (unobserved) AuditDropped(int)       {}
