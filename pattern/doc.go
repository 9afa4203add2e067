// Package pattern compares names with the patterns that policies are written in (RULES
// D1). A pattern is a text in which
//
//   - * stands for one or more bytes, but never for / or :
//   - ** stands for zero or more bytes of any kind, and only at the end
//
// and nothing else is special: no regular expressions, no classes, no escapes. It is
// compared byte by byte, with capitals and small letters apart, and with the whole text:
//
//	repo:acme/docs:**            every subject of one repository
//	arn:aws:sts::1234:assumed-role/document-lambda/*
//	document-*                   document-service, but not document-
//
// Every function is pure. Start with [Parse].
//
// Layer 1.
package pattern
