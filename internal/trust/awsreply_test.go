package trust_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/trust"
)

// TestVulnerability1Replies: the other half of CVE-2020-16250, for the day on which the
// first half fails: nothing but the one document is believed.
func TestVulnerability1Replies(t *testing.T) {
	t.Parallel()
	good := identityXML("123456789012", roleARN, roleID)
	result := good[strings.Index(good, "<GetCallerIdentityResult>"):strings.Index(good, "  <ResponseMetadata>")]
	replace := func(from, to string) string {
		changed := strings.Replace(good, from, to, 1)
		if changed == good {
			t.Fatalf("nothing to replace: %s", from)
		}
		return changed
	}
	xmlReply := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, body) }
	}
	typed := func(types ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = types
			_, _ = w.Write([]byte(good))
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { answer(w, code, good) }
	}
	tests := map[string]http.HandlerFunc{
		"another root":          xmlReply(strings.ReplaceAll(good, "GetCallerIdentityResponse", "AssumeRoleWithWebIdentityResponse")),
		"inside another root":   xmlReply(`<AssumeRoleWithWebIdentityResponse ` + xmlns + `>` + good + `</AssumeRoleWithWebIdentityResponse>`),
		"inside itself":         xmlReply(`<GetCallerIdentityResponse ` + xmlns + `>` + good + `</GetCallerIdentityResponse>`),
		"result deeper":         xmlReply(replace("<GetCallerIdentityResult>", "<X><GetCallerIdentityResult>")),
		"text before":           xmlReply("{" + good),
		"JSON around":           xmlReply(`{"x":"` + good + `"}`),
		"text behind":           xmlReply(good + "x"),
		"a second document":     xmlReply(good + good),
		"two results":           xmlReply(replace("<GetCallerIdentityResult>", result+"<GetCallerIdentityResult>")),
		"no result":             xmlReply(`<GetCallerIdentityResponse ` + xmlns + `></GetCallerIdentityResponse>`),
		"two accounts":          xmlReply(replace("<Account>", "<Account>123456789012</Account><Account>")),
		"no account":            xmlReply(replace("<Account>123456789012</Account>", "")),
		"another element":       xmlReply(replace("<Account>", "<Extra>1</Extra><Account>")),
		"text beside":           xmlReply(replace("<Account>", "x<Account>")),
		"element in the text":   xmlReply(replace("123456789012</Account>", "123<b>456</b>789012</Account>")),
		"no namespace":          xmlReply(replace(xmlns, "")),
		"another namespace":     xmlReply(replace("2011-06-15", "2012-06-15")),
		"a namespace inside":    xmlReply(replace("<Account>", `<Account xmlns="https://evil.example.com/">`)),
		"a prefix":              xmlReply(`<s:GetCallerIdentityResponse xmlns:s="https://sts.amazonaws.com/doc/2011-06-15/">` + good),
		"an attribute":          xmlReply(replace("<Account>", `<Account x="y">`)),
		"a comment":             xmlReply(replace("<Account>", "<!-- x --><Account>")),
		"a comment in the text": xmlReply(replace("<Account>1234", "<Account>1234<!-- x -->")),
		"CDATA":                 xmlReply(replace("123456789012</Account>", "<![CDATA[123456789012]]></Account>")),
		"a DOCTYPE":             xmlReply(`<!DOCTYPE x [<!ENTITY a "b">]>` + good),
		"an entity":             xmlReply(replace("<Account>1234", "<Account>&a;1234")),
		"an instruction":        xmlReply(replace("<Account>", "<?x y?><Account>")),
		"a second declaration":  xmlReply(`<?xml version="1.0"?><?xml version="1.0"?>` + good),
		"another encoding":      xmlReply(`<?xml version="1.0" encoding="UTF-7"?>` + good),
		"not closed":            xmlReply(strings.TrimSuffix(good, "</GetCallerIdentityResponse>\n")),
		"NUL":                   xmlReply(good + "\x00"),
		"not UTF-8":             xmlReply(replace("run-1", "run-\xff")),
		"empty":                 xmlReply(""),
		"JSON":                  xmlReply(`{"GetCallerIdentityResponse":{"GetCallerIdentityResult":{"Account":"123456789012"}}}`),
		"type JSON":             typed("application/json"),
		"type of old XML":       typed("application/xml"),
		"no type":               typed(),
		"two types":             typed("text/xml", "text/xml"),
		"another charset":       typed("text/xml; charset=utf-7"),
		"status 201":            status(http.StatusCreated),
		"status 206":            status(http.StatusPartialContent),
		"status 203":            status(http.StatusNonAuthoritativeInfo),
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/again", http.StatusTemporaryRedirect)
		},
		"a redirect with a reply": status(http.StatusFound),
		"blanks without end":      xmlReply(strings.Repeat(" ", 65<<10) + good),
		"too many elements":       xmlReply(replace("<Account>", strings.Repeat("<X></X>", 100)+"<Account>")),
		"too deep":                xmlReply(replace("<Account>", strings.Repeat("<X>", 100)+"<Account>")),
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml")
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write([]byte(good))
		},
	}
	for name, reply := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSTS(t, reply)
			id, err := login(t, s, signPost(t, s.URL+"/", keyPair, nil))
			if countersign.CodeOf(err) != countersign.Upstream || id.Kind != "" {
				t.Errorf("got %+v, %v", id, err)
			}
			if s.calls.Load() != 1 {
				t.Errorf("%d calls, want 1", s.calls.Load())
			}
		})
	}
}

func TestAWSReplyForms(t *testing.T) {
	t.Parallel()
	good := identityXML("123456789012", roleARN, roleID)
	for _, body := range []string{
		good, `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + good, strings.ReplaceAll(strings.ReplaceAll(good, "\n", ""), "  ", ""), "\n" + good + "\n",
	} {
		s := newSTS(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/xml; charset=utf-8")
			_, _ = w.Write([]byte(body))
		})
		if _, err := login(t, s, signPost(t, s.URL+"/", keyPair, nil)); err != nil {
			t.Errorf("%q: %v", body[:20], err)
		}
	}
}

// TestVulnerability2: what is matched is bound to the account by its number: the ARN's
// account is the reply's, its partition the host's, its session the user id's.
func TestVulnerability2(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, account, arn, userID string }{
		{"another account in the ARN", "123456789012", "arn:aws:sts::210987654321:assumed-role/document-lambda/run-1", roleID},
		{"another account", "210987654321", roleARN, roleID},
		{"another partition", "123456789012", strings.Replace(roleARN, "arn:aws:", "arn:aws-cn:", 1), roleID},
		{"no partition", "123456789012", strings.Replace(roleARN, "arn:aws:", "arn::", 1), roleID},
		{"another service", "123456789012", strings.Replace(roleARN, ":sts:", ":iam:", 1), roleID},
		{"user by sts", "123456789012", "arn:aws:sts::123456789012:user/moto", "AIDAIOSFODNN7EXAMPLE"},
		{"a region", "123456789012", strings.Replace(roleARN, "sts::", "sts:us-east-1:", 1), roleID},
		{"a short account", "12345678901", strings.Replace(roleARN, "123456789012", "12345678901", 1), roleID},
		{"other digits", "١23456789012", strings.Replace(roleARN, "123456789012", "١23456789012", 1), roleID},
		{"blanks", " 123456789012", roleARN, roleID},
		{"another session", "123456789012", roleARN, "AROAIOSFODNN7EXAMPLE:run-2"},
		{"no session", "123456789012", "arn:aws:sts::123456789012:assumed-role/document-lambda", "AROAIOSFODNN7EXAMPLE"},
		{"two sessions", "123456789012", roleARN + "/x", "AROAIOSFODNN7EXAMPLE:run-1/x"},
		{"a session with a colon", "123456789012", roleARN + ":x", "AROAIOSFODNN7EXAMPLE:run-1:x"},
		{"no unique id", "123456789012", roleARN, ":run-1"},
		{"a user with a session", "123456789012", "arn:aws:iam::123456789012:user/alice", "AIDAIOSFODNN7EXAMPLE:x"},
		{"a user with a star", "123456789012", "arn:aws:iam::123456789012:user/*/alice", "AIDAIOSFODNN7EXAMPLE"},
		{"a user without a name", "123456789012", "arn:aws:iam::123456789012:user/", "AIDAIOSFODNN7EXAMPLE"},
		{"root of another", "123456789012", "arn:aws:iam::123456789012:root", "210987654321"},
		{"root with more", "123456789012", "arn:aws:iam::123456789012:root/x", "123456789012"},
		{"federated of another", "123456789012", "arn:aws:sts::123456789012:federated-user/bob", "210987654321:bob"},
		{"a group", "123456789012", "arn:aws:iam::123456789012:group/admins", "AGPAIOSFODNN7EXAMPLE"},
		{"no ARN", "123456789012", "document-lambda", roleID},
		{"empty", "", "", ""},
		{"a control", "123456789012", roleARN + "&#10;", roleID},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSTS(t, func(w http.ResponseWriter, _ *http.Request) {
				answer(w, http.StatusOK, identityXML(test.account, test.arn, test.userID))
			})
			id, err := login(t, s, signPost(t, s.URL+"/", keyPair, nil))
			if countersign.CodeOf(err) != countersign.Upstream || countersign.ReasonOf(err) != countersign.ReasonUpstreamReply {
				t.Errorf("got %+v, %v", id, err)
			}
		})
	}
}

func TestAWSCallers(t *testing.T) {
	t.Parallel()
	tests := []struct{ arn, userID, kind, unique, subject string }{
		{"arn:aws:iam::123456789012:user/alice", "AIDAIOSFODNN7EXAMPLE", trust.AWSUser, "AIDAIOSFODNN7EXAMPLE", "arn:aws:iam::123456789012:user/alice"},
		{"arn:aws:iam::123456789012:user/a/b/alice", "AIDAIOSFODNN7EXAMPLE", trust.AWSUser, "AIDAIOSFODNN7EXAMPLE", "arn:aws:iam::123456789012:user/a/b/alice"},
		{"arn:aws:iam::123456789012:root", "123456789012", trust.AWSRoot, "123456789012", "arn:aws:iam::123456789012:root"},
		{"arn:aws:sts::123456789012:federated-user/bob", "123456789012:bob", trust.AWSFederatedUser, "123456789012", "arn:aws:sts::123456789012:federated-user"},
		{"arn:aws:sts::123456789012:assumed-role/R/R", "AROAIOSFODNN7EXAMPLE:R", trust.AWSAssumedRole, "AROAIOSFODNN7EXAMPLE", "arn:aws:sts::123456789012:assumed-role/R"},
	}
	for _, test := range tests {
		s := newSTS(t, func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusOK, identityXML("123456789012", test.arn, test.userID))
		})
		id, err := login(t, s, signPost(t, s.URL+"/", keyPair, nil))
		if err != nil {
			t.Errorf("%s: %v", test.arn, err)
			continue
		}
		if id.Subject != test.subject || id.AWS.Type != test.kind || id.AWS.UniqueID != test.unique || id.AWS.ARN != test.arn {
			t.Errorf("%s: got %+v, %+v", test.arn, id, id.AWS)
		}
	}
}
