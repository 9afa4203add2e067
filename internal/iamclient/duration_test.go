package iamclient_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	tests := []struct {
		text string
		want time.Duration
		ok   bool
	}{
		{"15m", 15 * time.Minute, true},
		{"24h", 24 * time.Hour, true},
		{"7d", 7 * 24 * time.Hour, true},
		{"1d12h", 36 * time.Hour, true},
		{"0s", 0, true},
		{"1h30m5s", 90*time.Minute + 5*time.Second, true},
		{"", 0, false},
		{"0", 0, false},
		{"15", 0, false},
		{"1d5", 0, false},
		{"-1h", 0, false},
		{"+1h", 0, false},
		{"-1d", 0, false},
		{"1d-1h", 0, false},
		{"1.5d", 0, false},
		{"d", 0, false},
		{"1d1d", 0, false},
		{"36501d", 0, false},
		{"99999999999999999999d", 0, false},
		{"9999999h", 0, false},
		{" 1h", 0, false},
		{"1h ", 0, false},
		{"1y", 0, false},
		{"1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h", 0, false},
	}
	for _, test := range tests {
		got, err := iamclient.ParseDuration(test.text)
		if (err == nil) != test.ok || time.Duration(got) != test.want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v, ok=%v", test.text, got, err, test.want, test.ok)
		}
		if err != nil && !errors.Is(err, countersign.Invalid) {
			t.Errorf("ParseDuration(%q): code %q", test.text, countersign.CodeOf(err))
		}
	}
}

func TestDurationIsWrittenShort(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: `"0s"`, 15 * time.Minute: `"15m"`, time.Hour: `"1h"`, 90 * time.Second: `"1m30s"`,
		24 * time.Hour: `"24h"`, 10 * time.Minute: `"10m"`, time.Hour + time.Second: `"1h0m1s"`,
	} {
		got, err := json.Marshal(iamclient.Duration(d))
		if err != nil || string(got) != want {
			t.Errorf("%v is written %s, %v; want %s", d, got, err, want)
		}
	}
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"15m", "7d", "1d12h", "0", "-1h", "1d1d", "1h0m1s", "µ", "9999999999d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := iamclient.ParseDuration(text)
		if err != nil {
			return
		}
		if d < 0 {
			t.Fatalf("%q is %v: negative", text, d)
		}
		again, err := iamclient.ParseDuration(d.String())
		if err != nil || again != d {
			t.Fatalf("%q is %v, which reads back as %v, %v", text, d, again, err)
		}
	})
}
