package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/countersign/countersign"
)

// setOldEndpoints sends those AWS CLIs and boto3s to us that know no AWS_ENDPOINT_URL_STS
// (of 2.8 to 2.12, and 1.26 to 1.27): they look for a service's rules in AWS_DATA_PATH
// first. gateway is "" where there is none: then S3 is asked for at the STS, in vain.
//
// Source: botocore, loaders.py; Smithy rules engine specification.
func (e *environment) setOldEndpoints(folder, sts, gateway string) error {
	if gateway == "" {
		gateway = sts
	}
	models := filepath.Join(folder, "models")
	for service, rules := range map[string]map[string]any{
		"sts/2011-06-15": endpointRules(sts, "sts", nil),
		"s3/2006-03-01":  endpointRules(gateway, "s3", []string{"Bucket"}),
	} {
		if err := writeRules(filepath.Join(models, service), rules); err != nil {
			return countersign.WrapError(countersign.Unavailable, "", "there is no place for the command's files", err)
		}
	}
	child := Process{Environ: e.kept}
	if theirs := child.getenv("AWS_DATA_PATH"); theirs != "" {
		models += string(os.PathListSeparator) + theirs
	}
	e.set("AWS_DATA_PATH", models)
	return nil
}

func writeRules(folder string, rules map[string]any) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	body, err := json.Marshal(rules)
	if err != nil {
		return fmt.Errorf("write the rules: %w", err)
	}
	return os.WriteFile(filepath.Join(folder, "endpoint-rule-set-1.json"), body, 0o600)
}

// endpointRules say: what the user names by --endpoint-url, else at. Each of inPath comes
// behind the URL, as path-style addressing has it.
func endpointRules(at, signingName string, inPath []string) map[string]any {
	text := func(documentation string) map[string]any {
		return map[string]any{"required": false, "documentation": documentation, "type": "String"}
	}
	parameters := map[string]any{
		"Region":   map[string]any{"builtIn": "AWS::Region", "required": false, "documentation": "The region.", "type": "String"},
		"Endpoint": map[string]any{"builtIn": "SDK::Endpoint", "required": false, "documentation": "Another endpoint.", "type": "String"},
	}
	rule := func(url string, conditions ...any) map[string]any {
		scheme := map[string]any{"name": "sigv4", "signingName": signingName, "signingRegion": "{Region}"}
		if signingName == "s3" {
			scheme["disableDoubleEncoding"] = true
		}
		return map[string]any{"type": "endpoint", "conditions": append([]any{isSet("Region")}, conditions...), "endpoint": map[string]any{
			"url": url, "headers": map[string]any{}, "properties": map[string]any{"authSchemes": []any{scheme}},
		}}
	}
	var rules []any
	for _, base := range []struct {
		url        string
		conditions []any
	}{{"{Endpoint}", []any{isSet("Endpoint")}}, {strings.TrimRight(at, "/"), nil}} {
		for _, name := range inPath {
			parameters[name] = text("Part of the path.")
			encode := map[string]any{"fn": "uriEncode", "argv": []any{map[string]any{"ref": name}}, "assign": "encoded" + name}
			rules = append(rules, rule(base.url+"/{encoded"+name+"}", append(base.conditions[:len(base.conditions):len(base.conditions)], isSet(name), encode)...))
		}
		rules = append(rules, rule(base.url, base.conditions...))
	}
	rules = append(rules, map[string]any{"type": "error", "conditions": []any{}, "error": "a region is needed"})
	return map[string]any{"version": "1.0", "parameters": parameters, "rules": rules}
}

func isSet(name string) map[string]any {
	return map[string]any{"fn": "isSet", "argv": []any{map[string]any{"ref": name}}}
}
