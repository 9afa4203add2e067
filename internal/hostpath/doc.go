// Package hostpath decides which folders and files of this machine the documents of
// services, buckets and so on may name (RULES A8): only what lies below the folders that
// the configuration allows, and nothing of the data folder, whatever symbolic links say.
//
// It makes nothing and writes nothing. Whether somebody may write such a field at all is
// for package admin.
//
// Start with [Paths]. Layer 1.
package hostpath
