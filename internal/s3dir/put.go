package s3dir

import (
	"context"
	"net/http"

	"github.com/countersign/countersign/internal/s3api"
)

// sumOfWhole is the type of a checksum over an object as one.
const sumOfWhole = "FULL_OBJECT"

// putObject answers PutObject.
//
// Source: Amazon S3 API reference, PutObject.
func (d *Dir) putObject(ctx context.Context, r *s3api.Request) (*s3api.Response, error) {
	rec, err := recordOf(r.Key, r.Header)
	if err != nil {
		return nil, err
	}
	want, err := expectedOf(r)
	if err != nil {
		return nil, err
	}
	when, err := writeConditionOf(r.Header)
	if err != nil {
		return nil, err
	}
	// Asked again when it counts; here it saves the way of a body that is for nothing.
	if err := d.checkCondition(r.Key, when); err != nil {
		return nil, err
	}
	s, err := d.stage()
	if err != nil {
		return nil, err
	}
	defer s.discard()
	if err := s.fill(ctx, r.Body, want); err != nil {
		return nil, err
	}
	if err := d.finish(ctx, s, rec, want.algorithm, when); err != nil {
		return nil, err
	}
	h := http.Header{}
	h.Set("ETag", quoted(rec.ETag))
	rec.setSum(h)
	return &s3api.Response{Status: http.StatusOK, Header: h}, nil
}

// finish makes an object of a body that was staged whole.
func (d *Dir) finish(ctx context.Context, s *staged, rec *record, algorithm s3api.Checksum, when writeCondition) error {
	rec.ETag = s.md5
	if algorithm != "" {
		rec.Algorithm, rec.Sum, rec.SumType = algorithm, algorithm.Encode(s.sum), sumOfWhole
	}
	if err := s.seal(rec, func(v version) string { return recordPath(rec.Key, v) }); err != nil {
		return err
	}
	return d.commit(ctx, rec.Key, s, when)
}

func (d *Dir) checkCondition(key string, when writeCondition) error {
	if when.empty() {
		return nil
	}
	files, err := d.current(key)
	if err != nil {
		return err
	}
	return when.check(d, key, files)
}

// headBucket answers HeadBucket.
//
// Source: Amazon S3 API reference, HeadBucket.
func (d *Dir) headBucket(context.Context, *s3api.Request) (*s3api.Response, error) {
	if _, err := d.root.Stat("."); err != nil {
		return nil, unusable("the folder of the bucket can't be read", err)
	}
	h := http.Header{}
	h.Set("X-Amz-Bucket-Region", d.regionName())
	return &s3api.Response{Status: http.StatusOK, Header: h}, nil
}

func (d *Dir) regionName() string {
	if d.region == "" {
		return "us-east-1"
	}
	return d.region
}
