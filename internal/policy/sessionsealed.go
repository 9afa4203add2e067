package policy

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/countersign/countersign"
)

// The sealed form is a line for each statement: "A" or "D" with the actions' bits in hex,
// and behind it fields, each after a tab: "r" a resource, "e" and "l" what s3:prefix equals
// and is like. No value has a control character, so nothing needs to be escaped.
const (
	sealedResource = 'r'
	sealedEquals   = 'e'
	sealedLike     = 'l'
)

// String returns the policy in the short form that a session token carries, for
// [OpenSessionPolicy]; "" for nil.
func (s *SessionPolicy) String() string {
	if s == nil {
		return ""
	}
	var out strings.Builder
	for i, statement := range s.statements {
		if i > 0 {
			out.WriteByte('\n')
		}
		effect := byte('A')
		if statement.deny {
			effect = 'D'
		}
		out.WriteByte(effect)
		out.WriteString(strconv.FormatUint(uint64(statement.actions), 16))
		for _, list := range []struct {
			kind   byte
			values []string
		}{{sealedResource, statement.resources}, {sealedEquals, statement.equals}, {sealedLike, statement.like}} {
			for _, value := range list.values {
				out.WriteByte('\t')
				out.WriteByte(list.kind)
				out.WriteString(value)
			}
		}
	}
	return out.String()
}

// OpenSessionPolicy is the way back from [SessionPolicy.String]; nil for "". A bit of an
// action that this version does not know stays without meaning.
//
// Errors: countersign.BadToken with ReasonTokenMalformed when the text is none that String
// wrote.
func OpenSessionPolicy(text string) (*SessionPolicy, error) {
	if text == "" {
		return nil, nil
	}
	malformed := countersign.NewError(countersign.BadToken, countersign.ReasonTokenMalformed, "the session's policy is malformed")
	if len(text) > 4*MaxSessionPolicy || !utf8.ValidString(text) {
		return nil, malformed
	}
	s := &SessionPolicy{}
	for line := range strings.SplitSeq(text, "\n") {
		fields := strings.Split(line, "\t")
		effect, rest := line[:min(1, len(line))], fields[0]
		if effect != "A" && effect != "D" {
			return nil, malformed
		}
		actions, err := strconv.ParseUint(rest[1:], 16, 64)
		if err != nil {
			return nil, malformed
		}
		statement := sessionStatement{deny: effect == "D", actions: actionBits(actions)}
		for _, field := range fields[1:] {
			if field == "" {
				return nil, malformed
			}
			switch value := field[1:]; field[0] {
			case sealedResource:
				statement.resources = append(statement.resources, value)
			case sealedEquals:
				statement.equals = append(statement.equals, value)
			case sealedLike:
				statement.like = append(statement.like, value)
			default:
				return nil, malformed
			}
		}
		if actions == 0 || statement.resources == nil {
			return nil, malformed
		}
		s.statements = append(s.statements, statement)
	}
	if s.String() != text {
		return nil, malformed
	}
	return s, nil
}
