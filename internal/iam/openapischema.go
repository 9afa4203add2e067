package iam

import (
	"encoding/json"
	"reflect"
	"strings"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/iamclient"
)

// schemas makes JSON Schemas of the types of package iamclient, each struct once by its
// name.
type schemas struct{ made map[string]any }

var (
	typeTime     = reflect.TypeFor[time.Time]()
	typeDuration = reflect.TypeFor[iamclient.Duration]()
	typeSecret   = reflect.TypeFor[countersign.Secret]()
	typeRaw      = reflect.TypeFor[json.RawMessage]()
)

// of returns the schema of a value's type.
func (s *schemas) of(v any) map[string]any { return s.ofType(reflect.TypeOf(v)) }

func (s *schemas) ofType(t reflect.Type) map[string]any {
	switch t {
	case typeTime:
		return map[string]any{"type": "string", "format": "date-time"}
	case typeDuration:
		return map[string]any{"type": "string", "description": "a duration with a unit: 15m, 24h, 7d"}
	case typeSecret:
		return map[string]any{"type": "string", "format": "password"}
	case typeRaw:
		return map[string]any{}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.ofType(t.Elem())
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.ofType(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.ofType(t.Elem())}
	case reflect.Struct:
		return s.ofStruct(t)
	}
	return map[string]any{"type": "integer"}
}

func (s *schemas) ofStruct(t reflect.Type) map[string]any {
	name := strings.ToUpper(t.Name()[:min(1, len(t.Name()))]) + t.Name()[min(1, len(t.Name())):]
	if name == "" {
		return map[string]any{"type": "object", "additionalProperties": false}
	}
	reference := map[string]any{"$ref": "#/components/schemas/" + name}
	if _, made := s.made[name]; made {
		return reference
	}
	s.made[name] = nil // it may hold itself
	properties, required := map[string]any{}, []string{}
	s.fields(t, properties, &required)
	schema := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		schema["required"] = required
	}
	s.made[name] = schema
	return reference
}

func (s *schemas) fields(t reflect.Type, properties map[string]any, required *[]string) {
	for field := range t.Fields() {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			s.fields(field.Type, properties, required)
			continue
		case name == "" || name == "-":
			continue
		}
		properties[name] = s.ofType(field.Type)
		if !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero") {
			*required = append(*required, name)
		}
	}
}
