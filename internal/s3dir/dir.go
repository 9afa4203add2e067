package s3dir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/s3api"
)

// Hidden is the folder in the folder that holds what is no object.
const Hidden = ".countersign-s3"

// The folders below Hidden.
const (
	tmpFolder    = Hidden + "/tmp"
	metaFolder   = Hidden + "/meta"
	moreFolder   = Hidden + "/more"
	uploadFolder = Hidden + "/uploads"
	lockFolder   = Hidden + "/locks"
)

// leftoverAge is how long nobody has written to a temporary file when it is taken for what
// a crash left. Another process may be writing to the younger ones.
const leftoverAge = 24 * time.Hour

// Permissions of what is made here: objects are read through the gateway.
const (
	filePerm   fs.FileMode = 0o600
	folderPerm fs.FileMode = 0o700
)

// Config is what a Dir needs besides its folder.
type Config struct {
	// Bucket is the name at the gateway, which some answers repeat.
	Bucket string
	// Region is what GetBucketLocation says; "" is us-east-1.
	Region string
	// Forbidden are folders that keys must never reach, such as the server's data: the
	// folder may not be one of them, nor above or below one.
	Forbidden []string
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// Dir is a folder of objects. Several of them, also in several processes, may have the same
// folder. Safe for concurrent use.
type Dir struct {
	root   *os.Root
	bucket string
	region string
	now    func() time.Time
	locks  locks
	known  *known
	// uploads are those under way.
	uploads underWay
	// chunk is chunkMax; a test has less.
	chunk int
	// step is told of each step of a write before it is taken; a test can end there.
	step func(name string) error
}

var _ s3api.Origin = (*Dir)(nil)

// Open opens the folder, and makes it if it is missing while the one above it is there. What
// a crash left in it is removed.
//
// Errors: [countersign.Denied] (a folder that may not be one, a symlink),
// [countersign.Unsupported] (a file system that takes different names for the same),
// [countersign.Unavailable].
func Open(folder string, cfg Config) (*Dir, error) {
	if err := os.Mkdir(folder, folderPerm); err != nil && !errors.Is(err, fs.ErrExist) { //nolint:gosec // G703: the configuration names it
		return nil, unusable("the folder of the bucket can't be made", err)
	}
	info, err := os.Lstat(folder) //nolint:gosec // G703: the configuration names it
	if err != nil {
		return nil, unusable("the folder of the bucket can't be opened", err)
	}
	if !info.IsDir() {
		return nil, countersign.NewError(countersign.Denied, "", "the folder of the bucket is not a folder; a symlink is not followed")
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, unusable("the folder of the bucket can't be opened", err)
	}
	d := &Dir{
		root: root, bucket: cfg.Bucket, region: cfg.Region, now: cfg.Now, known: newKnown(knownMax), uploads: underWay{max: maxUploads}, chunk: chunkMax,
		step: func(string) error { return nil },
	}
	if d.now == nil {
		d.now = time.Now
	}
	if err := d.prepare(info, folder, cfg.Forbidden); err != nil {
		_ = d.Close()
		return nil, err
	}
	return d, nil
}

func (d *Dir) prepare(info fs.FileInfo, folder string, forbidden []string) error {
	opened, err := d.root.Stat(".")
	if err != nil || !os.SameFile(info, opened) {
		return unusable("the folder of the bucket was replaced while it was opened", err)
	}
	if err := refuseForbidden(folder, opened, forbidden); err != nil {
		return err
	}
	for _, name := range []string{Hidden, tmpFolder, metaFolder, moreFolder, uploadFolder, lockFolder} {
		if err := d.root.Mkdir(name, folderPerm); err != nil && !errors.Is(err, fs.ErrExist) {
			return unusable("the folder of the bucket can't be written", err)
		}
		// What is hidden must not lead elsewhere either.
		if info, err := d.root.Lstat(name); err != nil || !info.IsDir() {
			return countersign.WrapError(countersign.Denied, "", name+" in the folder of the bucket is not a folder", err)
		}
	}
	if err := d.syncFolder("."); err != nil {
		return err
	}
	if err := d.syncFolder(Hidden); err != nil {
		return err
	}
	d.locks.init(d.root)
	// Where "A" opens "a", a caller who may read one key would read another.
	if _, err := d.root.Lstat(Hidden + "/TMP"); !errors.Is(err, fs.ErrNotExist) {
		return countersign.NewError(countersign.Unsupported, "", "the file system of the bucket's folder takes upper and lower case for the same")
	}
	if err := d.removeLeftovers(); err != nil {
		return err
	}
	return d.sweepUploads(context.Background()) // it waits for nothing that lasts
}

// refuseForbidden compares folders as such, not their names, up to the root of each.
func refuseForbidden(folder string, opened fs.FileInfo, forbidden []string) error {
	ours, err := above(folder)
	if err != nil {
		return unusable("the folder of the bucket can't be resolved", err)
	}
	for _, name := range forbidden {
		info, err := os.Stat(name)
		if errors.Is(err, fs.ErrNotExist) {
			// It may be made later, below us: its nearest folder that exists is above it.
			info, err = nil, nil
		}
		if err != nil {
			return unusable("a folder that the bucket must not reach can't be looked at", err)
		}
		theirs, err := above(name)
		if err != nil {
			return unusable("a folder that the bucket must not reach can't be resolved", err)
		}
		for _, each := range theirs {
			if os.SameFile(each, opened) {
				return countersign.NewError(countersign.Denied, "", "the folder of the bucket is the server's data folder, or above it")
			}
		}
		for _, each := range ours {
			if info != nil && os.SameFile(each, info) {
				return countersign.NewError(countersign.Denied, "", "the folder of the bucket is in the server's data folder")
			}
		}
	}
	return nil
}

// above are the folder and those above it, as far as they exist.
func above(folder string) ([]fs.FileInfo, error) {
	name, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	var found []fs.FileInfo
	resolved := false
	for {
		if real, err := filepath.EvalSymlinks(name); err == nil && !resolved {
			name, resolved = real, true
		}
		if info, err := os.Stat(name); err == nil { //nolint:gosec // G703: the configuration names it
			found = append(found, info)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		parent := filepath.Dir(name)
		if parent == name {
			return found, nil
		}
		name = parent
	}
}

// removeLeftovers removes temporary files that nobody writes to any more. It doesn't go on
// for ever: what is too much for one start is left to the next.
func (d *Dir) removeLeftovers() error {
	folder, err := d.root.Open(tmpFolder)
	if err != nil {
		return unusable("the folder of the bucket can't be read", err)
	}
	defer folder.Close() //nolint:errcheck // read only
	entries, err := folder.ReadDir(10_000)
	if err != nil && len(entries) > 0 {
		return unusable("the folder of the bucket can't be read", err)
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || d.now().Sub(info.ModTime()) < leftoverAge {
			continue
		}
		if err := d.root.RemoveAll(tmpFolder + "/" + entry.Name()); err != nil {
			return unusable("what a crash left can't be removed", err)
		}
	}
	return nil
}

// Close lets go of the folder. Answers that are being read stay readable.
func (d *Dir) Close() error {
	d.locks.close()
	if err := d.root.Close(); err != nil {
		return fmt.Errorf("close the folder: %w", err)
	}
	return nil
}

// operations are all that a folder can do. What S3 has besides needs what a folder has not:
// owners, locks, versions.
var operations = map[s3api.Operation]func(*Dir, context.Context, *s3api.Request) (*s3api.Response, error){
	s3api.HeadBucket:        (*Dir).headBucket,
	s3api.GetBucketLocation: (*Dir).getBucketLocation,

	s3api.ListObjects:          (*Dir).listObjects,
	s3api.ListObjectsV2:        (*Dir).listObjectsV2,
	s3api.ListObjectVersions:   (*Dir).listObjectVersions,
	s3api.ListMultipartUploads: (*Dir).listMultipartUploads,
	s3api.DeleteObjects:        (*Dir).deleteObjects,

	s3api.GetObject:           (*Dir).getObject,
	s3api.HeadObject:          (*Dir).headObject,
	s3api.GetObjectAttributes: (*Dir).getObjectAttributes,
	s3api.PutObject:           (*Dir).putObject,
	s3api.CopyObject:          (*Dir).copyObject,
	s3api.DeleteObject:        (*Dir).deleteObject,
	s3api.GetObjectTagging:    (*Dir).getObjectTagging,
	s3api.PutObjectTagging:    (*Dir).putObjectTagging,
	s3api.DeleteObjectTagging: (*Dir).deleteObjectTagging,

	s3api.CreateMultipartUpload:   (*Dir).createMultipartUpload,
	s3api.UploadPart:              (*Dir).uploadPart,
	s3api.UploadPartCopy:          (*Dir).uploadPartCopy,
	s3api.ListParts:               (*Dir).listParts,
	s3api.CompleteMultipartUpload: (*Dir).completeMultipartUpload,
	s3api.AbortMultipartUpload:    (*Dir).abortMultipartUpload,
}

// keyless are the operations about the bucket.
var keyless = map[s3api.Operation]bool{
	s3api.HeadBucket: true, s3api.GetBucketLocation: true, s3api.ListObjects: true, s3api.ListObjectsV2: true,
	s3api.ListObjectVersions: true, s3api.ListMultipartUploads: true, s3api.DeleteObjects: true,
}

// Do implements [s3api.Origin].
func (d *Dir) Do(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	do, ok := operations[r.Operation]
	if !ok {
		return nil, refuse(s3api.NotImplemented, "A bucket in a folder does not have this operation.")
	}
	if !keyless[r.Operation] {
		if err := checkKey(r.Key); err != nil {
			return nil, err
		}
		if err := checkVersion(r.Query); err != nil {
			return nil, err
		}
	}
	if err := checkHeaders(r.Header); err != nil {
		return nil, err
	}
	return do(d, ctx, r)
}

// refuse is an answer in S3's words.
func refuse(code, message string) error { return &s3api.Error{Code: code, Message: message} }

// unusable is an error of the disk: its text names paths, which are not for the client.
func unusable(message string, err error) error {
	return countersign.WrapError(countersign.Unavailable, "", message, err)
}
