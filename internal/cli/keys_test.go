package cli_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/countersign/countersign/internal/cli"
	"github.com/countersign/countersign/internal/iamclient"
)

func TestKeysSayWhatIsMeant(t *testing.T) {
	t.Parallel()
	key := iamclient.Key{KID: "k2", Purpose: "token", Algorithm: "ES256", State: iamclient.KeyNext, UseFrom: made, UseUntil: made.Add(time.Hour)}
	for name, test := range map[string]struct {
		args   []string
		answer any
		body   map[string]any
		stdout string
		stderr string
	}{
		"list":        {[]string{"list"}, iamclient.KeyList{Items: []iamclient.Key{key}}, nil, "KID  PURPOSE  ALGORITHM  STATE  USED FROM             USED UNTIL            KEPT UNTIL\nk2   token    ES256      next   2026-11-24T06:00:00Z  2026-11-24T07:00:00Z  \n", ""},
		"rotate":      {[]string{"rotate"}, iamclient.RotatedKeys{Created: []iamclient.Key{key}}, map[string]any{}, "key/k2 created (token, ES256, used from 2026-11-24T06:00:00Z)\n", "rotated keys at unix:"},
		"purpose":     {[]string{"rotate", "--purpose", "feed"}, iamclient.RotatedKeys{}, map[string]any{"purpose": "feed"}, "", "a rotation is under way already, and nothing was made at unix:"},
		"compromised": {[]string{"rotate", "--compromised", "k1"}, iamclient.RotatedKeys{Created: []iamclient.Key{key}}, map[string]any{"compromised": "k1"}, "key/k2 created (token, ES256, used from 2026-11-24T06:00:00Z)\n", "dropped key k1 and all that it signed at unix:"},
		"rewrap":      {[]string{"rewrap"}, iamclient.RewrappedKeys{Count: 7}, map[string]any{}, "", "sealed 7 records under the current master key at unix:"},
		"rewrap json": {[]string{"rewrap", "--output", "json"}, iamclient.RewrappedKeys{Count: 7}, map[string]any{}, "{\n  \"count\": 7\n}\n", "sealed 7 records"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := fakeServer(t, func(request) (int, any) { return http.StatusOK, test.answer })
			got := shell{t: t}.want(cli.ExitOK, []string{test.stderr}, append(append([]string{"keys"}, test.args...), "--data", server.folder)...)
			if diff := cmp.Diff(test.stdout, got.stdout); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.body, server.requests()[0].body); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKeysFail(t *testing.T) {
	t.Parallel()
	server := fakeServer(t, func(request) (int, any) {
		return http.StatusNotFound, map[string]string{"code": "not_found", "detail": "no such key"}
	})
	s := shell{t: t}
	for _, args := range [][]string{{"list"}, {"rotate"}, {"rotate", "--compromised", "k"}, {"rewrap"}} {
		got := s.want(cli.ExitFailed, []string{"no such key"}, append(append([]string{"keys"}, args...), "--data", server.folder)...)
		if got.stdout != "" {
			t.Errorf("%v: %s", args, got.stdout)
		}
	}
	asked := len(server.requests())
	for _, args := range [][]string{nil, {"delete"}, {"rotate", "k"}, {"list", "--output", "yaml"}} {
		s.want(cli.ExitUsage, nil, append(append([]string{"keys"}, args...), "--data", server.folder)...)
	}
	if len(server.requests()) != asked {
		t.Error("the server was asked")
	}
}
