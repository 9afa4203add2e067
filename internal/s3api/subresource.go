package s3api

// subresources are the parameters that say what a request is about, of operations that are
// served, of others, and of other stores. A request has those of its operation and no
// other: a program behind us could follow that (RULES F1).
//
// Source: Amazon S3 API reference, "Actions"; the documentation of MinIO and of Ceph.
var subresources = map[string]bool{
	"abac": true, "accelerate": true, "acl": true, "analytics": true, "annotation": true, "annotations": true, "append": true,
	"attributes": true, "cors": true, "delete": true, "encryption": true, "events": true, "intelligent-tiering": true, "inventory": true,
	"legal-hold": true, "lifecycle": true, "list-type": true, "location": true, "logging": true, "metadataConfiguration": true,
	"metadataInventoryTable": true, "metadataJournalTable": true, "metadataTable": true, "metrics": true, "notification": true,
	"object-lock": true, "ownershipControls": true, "policy": true, "policyStatus": true, "publicAccessBlock": true, "renameObject": true,
	"replication": true, "requestPayment": true, "restore": true, "retention": true, "select": true, "select-type": true, "session": true,
	"tagging": true, "torrent": true, "uploadId": true, "uploads": true, "versioning": true, "versions": true, "website": true,
}

// IsSubresource reports whether a parameter says what a request is about.
func IsSubresource(parameter string) bool { return subresources[parameter] }
