// Package s3dir keeps the objects of one bucket in a local folder: an [s3api.Origin] for
// first use, without any other server.
//
// A key is the path of a plain file: files that were in the folder before, or are put there
// by hand, are objects, and objects can be read without the gateway. What a path can't hold
// (headers, tags, checksums) is a small record beside, and the keys that can't be paths (a
// key that ends in "/", "a" beside "a/b") are kept apart; both lie below [Hidden], which is
// no part of any key:
//
//	.countersign-s3/meta/…     the records, one a version of an object
//	.countersign-s3/more/…     objects whose key can't be a path
//	.countersign-s3/uploads/…  multipart uploads that are under way
//	.countersign-s3/tmp/…      what is being written
//	.countersign-s3/locks/…    locks between processes
//
// Everything goes through an [os.Root], and symlinks and special files are not followed, not
// read and not replaced (RULES F6). A write becomes visible by one rename of a file that is
// whole and on disk: a reader, a second process and a crash see the old object or the new
// one. docs/adr/0006-folder-origin.md says why, and what differs from S3.
//
// It knows no callers and decides no access; it checks what it is given all the same.
//
// Layer 3. Start at [Open].
package s3dir
