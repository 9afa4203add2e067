package token

import (
	"encoding/json"
	"strconv"
)

// appendPayload writes the claims. It is written by hand because every token pays for
// it; texts that need escaping go the long way.
//
// Source: RFC 9068 §2.2; RFC 7519 §4.1.
func (m *Minter) appendPayload(b []byte, id string, c Claims, issued, expires int64) []byte {
	b = append(b, m.start...)
	b = appendMember(b, `,"sub":`, c.Service)
	b = appendMember(b, `,"aud":`, c.Audience)
	b = appendMember(b, `,"client_id":`, c.Service)
	b = appendMember(b, `,"service_id":`, c.Service)
	b = appendMember(b, `,"service_uid":`, c.ServiceUID)
	if c.Scope != "" {
		b = appendMember(b, `,"scope":`, c.Scope)
	}
	if c.Tenant != "" {
		b = appendMember(b, `,"tenant":`, c.Tenant)
	}
	b = strconv.AppendInt(append(b, `,"iat":`...), issued, 10)
	b = strconv.AppendInt(append(b, `,"exp":`...), expires, 10)
	b = appendMember(b, `,"jti":`, id)
	return append(b, '}')
}

func appendMember(b []byte, name, value string) []byte {
	return appendString(append(b, name...), value)
}

// appendString writes s as a JSON string. s is valid UTF-8.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			escaped, err := json.Marshal(s)
			if err != nil {
				panic("token: encode a string: " + err.Error()) // no string fails to encode
			}
			return append(b, escaped...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
