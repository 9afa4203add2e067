package telemetry

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the counters of one server, in a registry of their own. Make them with
// [New]. Safe for concurrent use; nothing waits.
type Metrics struct {
	registry *prometheus.Registry

	httpRequests *prometheus.CounterVec
	httpDuration *prometheus.HistogramVec
	decisions    *prometheus.CounterVec
	auditCommits prometheus.Counter
	auditEvents  prometheus.Counter
	auditDropped prometheus.Counter
	auditSpooled prometheus.Counter
}

// New returns metrics with the Go runtime's and the process's beside our own. version
// is what countersign_build_info says.
func New(version string) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		httpRequests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersign_http_requests_total", Help: "Answered requests by listener, mux pattern and class of status.",
		}, []string{"listener", "route", "class"}),
		httpDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "countersign_http_request_duration_seconds", Help: "Time to answer a request.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"listener", "route"}),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "countersign_decisions_total", Help: "Decisions by what was asked for, the verdict and the reason, as in the audit log.",
		}, []string{"action", "decision", "reason"}),
		auditCommits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "countersign_audit_commits_total", Help: "Durable writes of the audit log; one holds many events.",
		}),
		auditEvents: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "countersign_audit_events_total", Help: "Audit events that were stored.",
		}),
		auditDropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "countersign_audit_dropped_total", Help: "Audit events that could not be stored and are lost.",
		}),
		auditSpooled: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "countersign_audit_spooled_total", Help: "Audit events that went to the local spool because the database was away.",
		}),
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "countersign_build_info", Help: "Always 1; the label says which build this is.",
		ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build,
		m.httpRequests, m.httpDuration, m.decisions, m.auditCommits, m.auditEvents, m.auditDropped, m.auditSpooled,
	)
	return m
}

// Handler serves the metrics in the Prometheus text format. At most four collections
// run at once.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// ObserveHTTP returns what web.Config.Observe takes, for one listener ("api", "ops").
// route is a mux pattern; a request that matched none counts as "other".
func (m *Metrics) ObserveHTTP(listener string) func(route string, status int, d time.Duration) {
	return func(route string, status int, d time.Duration) {
		if route == "" {
			route = "other"
		}
		m.httpRequests.WithLabelValues(listener, route, statusClass(status)).Inc()
		m.httpDuration.WithLabelValues(listener, route).Observe(d.Seconds())
	}
}

// Decided counts one decision. The words are those of the audit log: bounded lists.
func (m *Metrics) Decided(action, decision, reason string) {
	m.decisions.WithLabelValues(action, decision, reason).Inc()
}

// AuditCommitted counts one durable write of the given number of events.
func (m *Metrics) AuditCommitted(events int) {
	m.auditCommits.Inc()
	m.auditEvents.Add(float64(max(events, 0)))
}

// AuditDropped counts events that are lost.
func (m *Metrics) AuditDropped(events int) { m.auditDropped.Add(float64(max(events, 0))) }

// AuditSpooled counts events that went to the local spool.
func (m *Metrics) AuditSpooled(events int) { m.auditSpooled.Add(float64(max(events, 0))) }

// AuditDegraded shows whether events go to the local spool now. Call it once; degraded
// is asked at each collection and must not wait.
func (m *Metrics) AuditDegraded(degraded func() bool) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "countersign_audit_degraded", Help: "1 while audit events go to the local spool instead of the database.",
	}, func() float64 {
		if degraded() {
			return 1
		}
		return 0
	}))
}

// Followers shows how many requests for the revocation feed are held.
func (m *Metrics) Followers(count func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "countersign_feed_followers", Help: "Requests for the revocation feed that wait for news.",
	}, func() float64 { return float64(count()) }))
}

// ViewAge shows how old the view of the database is.
func (m *Metrics) ViewAge(age func() time.Duration) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "countersign_view_age_seconds", Help: "Since when changes of other replicas may be missing here.",
	}, func() float64 { return age().Seconds() }))
}

// CachedServices shows what count returns as the number of services in memory. Call it
// once; count is asked at each collection and must not wait.
func (m *Metrics) CachedServices(count func() int) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "countersign_registry_services", Help: "Services that are held in memory.",
	}, func() float64 { return float64(count()) }))
}

// statusClass bounds the statuses to a handful of words.
func statusClass(status int) string {
	switch {
	case status >= 100 && status < 200:
		return "1xx"
	case status >= 200 && status < 300:
		return "2xx"
	case status >= 300 && status < 400:
		return "3xx"
	case status >= 400 && status < 500:
		return "4xx"
	case status >= 500 && status < 600:
		return "5xx"
	}
	return "none" // the connection was cut before an answer
}
