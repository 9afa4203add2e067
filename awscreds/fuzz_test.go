package awscreds

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/countersign/countersign"
)

const fuzzAnswer = `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/a/b</Arn></AssumedRoleUser><Credentials><AccessKeyId>ASIAEXAMPLEEXAMPLE00</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2026-11-26T12:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`

func FuzzParseCredentials(f *testing.F) {
	f.Add(fuzzAnswer)
	f.Add(`<?xml version="1.0"?>` + fuzzAnswer + "\n")
	f.Add(fuzzAnswer + "x")
	f.Add(strings.Replace(fuzzAnswer, ">t<", ">&#10;<", 1))
	f.Add(`<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>`)
	f.Fuzz(func(t *testing.T, body string) {
		got, err := parseCredentials([]byte(body))
		if err != nil {
			if countersign.CodeOf(err) != countersign.Upstream {
				t.Errorf("code %s", countersign.CodeOf(err))
			}
			return
		}
		if !plainText(got.AccessKeyID, 16, 128) || !plainText(got.SecretAccessKey, 1, 1<<20) || !plainText(got.SessionToken, 1, 1<<20) || !got.CanExpire {
			t.Errorf("credentials that can't be sent: %q", got.AccessKeyID)
		}
	})
}

func FuzzParseRefusal(f *testing.F) {
	f.Add(403, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`)
	f.Add(400, `<ErrorResponse><Error><Code>the-secret-canary</Code></Error></ErrorResponse>`)
	f.Add(500, `nothing`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		sent := []countersign.Secret{countersign.NewSecret("the-secret-canary")}
		err := parseRefusal(&http.Response{StatusCode: status, Header: http.Header{}}, []byte(body), time.Unix(0, 0), sent)
		if text := err.Error(); strings.Contains(text, "the-secret-can") || strings.ContainsAny(text, "\r\n\x00") || len(text) > 1024 {
			t.Errorf("message %q", text)
		}
	})
}

func FuzzSessionOf(f *testing.F) {
	f.Add("eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIGIifQ.c2ln")
	f.Add("..")
	f.Fuzz(func(t *testing.T, token string) {
		if name := sessionOf(token); !sessionName.MatchString(name) {
			t.Errorf("session name %q", name)
		}
	})
}
