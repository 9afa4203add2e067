package keys_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/keys"
)

// TestNothingPrintsAKey prints every type that holds a key in every way that programs
// print, directly and from inside other values.
func TestNothingPrintsAKey(t *testing.T) {
	t.Parallel()
	raw := rawKey()
	master := mustParse(t, base64.StdEncoding.EncodeToString(raw))
	cfg, _ := newConfig(t)
	cfg.Master, cfg.Algorithm = master, "EdDSA"
	ring := open(t, cfg)
	s := signer(t, ring, keys.Token)
	secret, _ := ring.NewClientSecret()

	type nest struct {
		Visible any
		master  keys.Master
		pointer *keys.Master
		signer  keys.Signer
		ring    *keys.Ring
	}
	inside := nest{ring, *master, master, *s, ring}
	values := map[string]any{
		"Master": master, "Master value": *master, "Ring": ring, "Signer": s, "Signer value": *s, "Secret": secret,
		"nest": inside, "nest pointer": &inside, "slice": []any{master, ring, s}, "map": map[string]any{"m": *master, "s": *s},
		"Config": cfg,
	}
	canaries := []string{
		string(raw[:8]), hex.EncodeToString(raw[:8]), base64.StdEncoding.EncodeToString(raw)[:12],
		fmt.Sprintf("%d", raw[:6])[1:15], fmt.Sprintf("%#v", raw[:4])[len("[]byte{"):20], secret.Reveal()[4:20],
	}
	for name, v := range values {
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
		for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
			slog.New(h).InfoContext(t.Context(), "x", "value", v)
		}
		if encoded, err := json.Marshal(v); err == nil {
			out.Write(encoded)
		}
		if encoded, err := xml.Marshal(v); err == nil {
			out.Write(encoded)
		}
		fmt.Fprintln(&out, fmt.Errorf("wrapped: %v", v))
		for _, canary := range canaries {
			if strings.Contains(out.String(), canary) {
				t.Errorf("%s shows %q:\n%s", name, canary, out.String())
			}
		}
		switch name {
		case "Master", "Master value", "Ring", "Signer", "Signer value", "Secret":
			if got := fmt.Sprintf("%v %+v %#v", v, v, v); got != "REDACTED REDACTED REDACTED" {
				t.Errorf("%s prints %q", name, got)
			}
		}
	}
}
