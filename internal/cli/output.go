package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/countersign/countersign"
)

// output is embedded in every command that prints data.
type output struct {
	Output string `help:"text or json." default:"text" enum:"text,json"`
}

func (o output) json() bool { return o.Output == "json" }

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

// printFields prints name and value in two columns; pairs with an empty value are
// left out.
func printFields(w io.Writer, pairs ...[2]string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, pair := range pairs {
		if pair[1] != "" {
			_, _ = fmt.Fprintf(table, "%s\t%s\n", pair[0], pair[1])
		}
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("print: %w", err)
	}
	return nil
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// maxSecretInput bounds what is read from stdin or taken as an argument: 64 KiB.
const maxSecretInput = 64 << 10

// secretArgument returns the value of an argument that may be "-" for stdin. White
// space around it is dropped: files end with a line break.
func secretArgument(p *Process, argument string) (countersign.Secret, error) {
	value := argument
	if argument == "-" {
		body, err := io.ReadAll(io.LimitReader(p.Stdin, maxSecretInput+1))
		if err != nil {
			return countersign.Secret{}, fmt.Errorf("read stdin: %w", err)
		}
		if len(body) > maxSecretInput {
			return countersign.Secret{}, countersign.NewError(countersign.TooLarge, "", "stdin holds more than 64 KiB: that is no token")
		}
		value = string(body)
	}
	value = strings.TrimSpace(value)
	if value == "" {
		return countersign.Secret{}, countersign.NewError(countersign.Invalid, countersign.ReasonTokenMissing, "no token was given")
	}
	return countersign.NewSecret(value), nil
}
