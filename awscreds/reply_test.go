package awscreds_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
)

func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	good := answerXML(1, time.Hour)
	replace := func(pairs ...string) string {
		out := strings.NewReplacer(pairs...).Replace(good)
		if out == good {
			t.Fatalf("%v changes nothing", pairs)
		}
		return out
	}
	result := good[strings.Index(good, "<AssumeRoleWithWebIdentityResult>"):strings.Index(good, "<ResponseMetadata>")]
	tests := map[string]string{
		"empty":                  "",
		"not xml":                `{"Credentials":{}}`,
		"another root":           replace("AssumeRoleWithWebIdentityResponse", "AssumeRoleResponse"),
		"an error with 200":      errorXML("AccessDenied", "no"),
		"another namespace":      replace("2011-06-15", "2011-06-16"),
		"no namespace":           replace(` xmlns="https://sts.amazonaws.com/doc/2011-06-15/"`, ""),
		"inside another root":    "<a>" + good + "</a>",
		"junk before":            "x" + good,
		"comment before":         "<!-- " + good + " -->" + good,
		"junk behind":            good + "x",
		"another document":       good + good,
		"a doctype":              `<!DOCTYPE a [<!ENTITY b "c">]>` + good,
		"an entity":              replace("secret-1", "&b;"),
		"cut":                    good[:len(good)-10],
		"no result":              replace(result, ""),
		"two results":            replace(result, result+result),
		"two credentials":        replace("<Credentials>", "<Credentials></Credentials><Credentials>"),
		"no access key":          replace("<AccessKeyId>"+accessKeyID(1)+"</AccessKeyId>", ""),
		"a short access key":     replace(accessKeyID(1), "ASIA"),
		"no secret":              replace("secret-1", ""),
		"a secret of two words":  replace("secret-1", "secret 1"),
		"no session token":       replace("session-1", ""),
		"a header in the token":  replace("session-1", "a&#13;&#10;X: y"),
		"a session token of ü":   replace("session-1", "sessiön-1"),
		"a token for no header":  replace("session-1", strings.Repeat("x", 17<<10)),
		"no expiry":              replace("<Expiration>", "<Expiration>x"),
		"too large":              good + strings.Repeat(" ", 70<<10),
		"credentials at the top": replace("<AssumeRoleWithWebIdentityResult>", "", "</AssumeRoleWithWebIdentityResult>", ""),
	}
	for name, body := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := &endpoint{}
			e.set(func(*http.Request, url.Values) (int, http.Header, string) { return 200, nil, body })
			_, err := newWeb(t, webConfig(e)).Retrieve(t.Context())
			wantCode(t, err, countersign.Upstream)
			if err != nil && strings.Contains(err.Error(), "secret-1") {
				t.Errorf("a secret in %q", err)
			}
		})
	}
}

func TestAnswersThatAreGood(t *testing.T) {
	t.Parallel()
	good := answerXML(1, time.Hour)
	for name, body := range map[string]string{
		"declaration":      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + good + "\n",
		"of AWS identity":  strings.NewReplacer("WithWebIdentityRes", "WithAWSIdentityRes").Replace(good),
		"seed 003's shape": strings.Replace(good, "<ResponseMetadata>", "<Unknown/><ResponseMetadata>", 1),
		"no account":       strings.Replace(good, "123456789012", "x", 1),
	} {
		e := &endpoint{}
		e.set(func(*http.Request, url.Values) (int, http.Header, string) { return 200, nil, body })
		got := mustRetrieve(t, newWeb(t, webConfig(e)))
		if got.AccessKeyID != accessKeyID(1) || name == "no account" && got.AccountID != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
