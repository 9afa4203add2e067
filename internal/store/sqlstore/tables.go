package sqlstore

// tables are all that a dump has, in an order in which they can be filled again: what a row
// refers to comes before it. A test holds the list against the schema. Where a table was
// made by a later migration than those of the dump, the dump has none.
var tables = []string{
	"meta", "counter", "service", "client_secret", "signing_key", "revocation", "object", "change",
	"single_use", "quota_use", "audit_block", "audit_head",
	"access_key", "user_record", "login_code", "login",
}
