package frontdoor

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/iamclient"
)

const reports = "/api/iam/v1/system/audit/events"

// A receiver's reports are taken, whole or not at all; a broken batch is refused and
// the refusal stands in the log with the receiver's name.
func TestReportsAreTakenWholeOrRefusedAndAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	credentials, err := w.admin.CreateService(t.Context(), iamclient.CreateService{
		Name: "parse-service", Scopes: []string{"audit:write"}, Audiences: []string{"iam-service"},
	})
	must(t, err)
	secret := w.hide("a client secret", credentials.ClientSecret.Reveal())
	token := w.token(t, "parse-service", secret, "iam-service", "scope", "audit:write")
	now := w.Now().UTC().Format(time.RFC3339Nano)
	event := func(more string) string {
		return `{"id":"r1","time":"` + now + `","decision":"denied","reason":"service_not_allowed","service":"backend-actor","target":"parse-service"` + more + `}`
	}
	tests := []struct {
		name, body string
		status     int
	}{
		{"no JSON", `{`, 400},
		{"no events", `{"batch_id":"b1","events":[]}`, 400},
		{"unknown field", `{"batch_id":"b2","events":[` + event(`,"reported_by":"somebody-else"`) + `]}`, 400},
		{"unknown decision", `{"batch_id":"b3","events":[` + strings.Replace(event(""), "denied", "issued", 1) + `]}`, 400},
		{"one good, one bad", `{"batch_id":"b4","events":[` + event("") + `,` + event(`,"count":-1`) + `]}`, 400},
		{"good", `{"batch_id":"b5","events":[` + event("") + `]}`, 202},
		{"the same again", `{"batch_id":"b5","events":[` + event("") + `]}`, 202},
	}
	for _, test := range tests {
		header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}}
		if a := w.send(t, reports, header, test.body); a.status != test.status {
			t.Errorf("%s: %d %s", test.name, a.status, a.text)
		}
	}
	log := w.events(t)
	if got := strings.Count(log, `"action":"report","decision":"refused"`); got != 5 {
		t.Errorf("%d refused reports in the log, want 5:\n%s", got, log)
	}
	if got := strings.Count(log, `"reported_by":"parse-service"`); got != 1 {
		t.Errorf("%d reported events in the log, want 1:\n%s", got, log)
	}
}
