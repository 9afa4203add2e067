package main

import (
	"bytes"
	"context"
	"crypto/md5" //nolint:gosec // S3's own digest of a document
	"encoding/base64"
	"errors"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

func md5Of(body []byte) string {
	sum := md5.Sum(body) //nolint:gosec // S3's own digest of a document
	return base64.StdEncoding.EncodeToString(sum[:])
}

// sdkGet reads by AWS's SDK, which checks the object's checksum too.
func (c *client) sdkGet(ctx context.Context, key string) result {
	out, err := c.sdk.GetObject(ctx, &s3.GetObjectInput{Bucket: &c.run.bucket, Key: &key})
	if err != nil {
		return sdkResult(err)
	}
	defer func() { _ = out.Body.Close() }()
	r := result{status: http.StatusOK}
	r.body, r.err = io.ReadAll(out.Body)
	return r
}

func (c *client) sdkPut(ctx context.Context, key string, content []byte) result {
	_, err := c.sdk.PutObject(ctx, &s3.PutObjectInput{Bucket: &c.run.bucket, Key: &key, Body: bytes.NewReader(content)})
	return sdkResult(err)
}

// sdkResult is what an error of the SDK says of the answer.
func sdkResult(err error) result {
	if err == nil {
		return result{status: http.StatusOK}
	}
	response, answered := errors.AsType[*smithyhttp.ResponseError](err)
	coded, ok := errors.AsType[smithy.APIError](err)
	if !answered || !ok {
		return result{err: err}
	}
	return result{status: response.HTTPStatusCode(), code: coded.ErrorCode()}
}
