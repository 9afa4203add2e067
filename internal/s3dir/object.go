package s3dir

import (
	"crypto/md5" //nolint:gosec // an ETag is the MD5 of an object; no security rests on it
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"
)

const (
	// byHandPart is up to which size the ETag of a file that was put there by hand is the MD5
	// of its bytes. Above it is made of size and time, in the form that uploads in parts have
	// and that nobody takes for an MD5: a list must not read a folder of videos. It is where
	// AWS's own tools begin to upload in parts.
	byHandPart = 8 << 20
	// settled is how old a file that was put there by hand must be before what was computed
	// of it is remembered: a change within one tick of the clock doesn't change its time.
	settled = 2 * time.Second
)

// object is a version of an object that is open: what it reads stays, whatever replaces it.
type object struct {
	path    string
	file    *os.File
	info    fs.FileInfo
	version version
	rec     *record
}

func (o *object) close() { _ = o.file.Close() }

// open opens the object of a key as it is now.
//
// Errors: NoSuchKey, countersign.Unavailable.
func (d *Dir) open(key string, withParts bool) (*object, error) {
	for range maxAttempts {
		path, info, err := d.find(key)
		if err != nil {
			return nil, err
		}
		o, err := d.openAt(key, located{path, info}, withParts)
		if err == nil {
			return o, nil
		}
		// It was replaced or removed after it was found.
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, unusable("the object can't be read", err)
		}
	}
	return nil, unusable("the object changes too fast", nil)
}

func (d *Dir) openAt(key string, at located, withParts bool) (*object, error) {
	file, err := d.openFile(at.path, at.info)
	if err != nil {
		return nil, err
	}
	o := &object{path: at.path, file: file, info: at.info, version: versionOf(at.info)}
	o.rec, err = d.readRecord(recordPath(key, o.version), withParts)
	if errors.Is(err, fs.ErrNotExist) {
		o.rec, err = d.byHand(key, o)
	}
	if err == nil && o.rec.Key != key {
		err = fmt.Errorf("the record of an object is that of another")
	}
	if err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

// byHand makes the record of a file that has none.
//
// Errors: fs.ErrNotExist (it had one until it was replaced just now).
func (d *Dir) byHand(key string, o *object) (*record, error) {
	again, err := d.root.Lstat(o.path)
	if err != nil {
		return nil, absent(err)
	}
	if !os.SameFile(again, o.info) || versionOf(again) != o.version {
		return nil, fs.ErrNotExist
	}
	remembered := knownKey{key, inode(o.info), o.version}
	value, ok := d.known.get(remembered)
	if !ok {
		if value.etag, err = byHandETag(o); err != nil {
			return nil, err
		}
		if d.now().Sub(o.info.ModTime()) > settled {
			d.known.put(remembered, value)
		}
	}
	return &record{Key: key, ETag: value.etag}, nil
}

func byHandETag(o *object) (string, error) {
	if o.version.size > byHandPart {
		sum := md5.Sum([]byte(o.version.String())) //nolint:gosec // see the import
		return hex.EncodeToString(sum[:]) + "-" + strconv.FormatInt((o.version.size+byHandPart-1)/byHandPart, 10), nil
	}
	digest := md5.New() //nolint:gosec // see the import
	pooled, _ := buffers.Get().(*[]byte)
	defer buffers.Put(pooled)
	_, err := io.CopyBuffer(digest, onlyReader{io.NewSectionReader(o.file, 0, o.version.size)}, *pooled)
	if err != nil {
		return "", err
	}
	again, err := o.file.Stat()
	if err != nil {
		return "", err
	}
	if versionOf(again) != o.version {
		return "", fs.ErrNotExist // somebody writes to it: look again
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}

// onlyReader hides every way to read but one, so that the buffer that is given is used.
type onlyReader struct{ io.Reader }

// describe tells what a list says of the object at a path, mostly without reading anything.
func (d *Dir) describe(key, path string, info fs.FileInfo) (knownValue, error) {
	at := knownKey{key, inode(info), versionOf(info)}
	if value, ok := d.known.get(at); ok {
		return value, nil
	}
	rec, err := d.readRecord(recordPath(key, at.version), false)
	if errors.Is(err, fs.ErrNotExist) {
		o, openErr := d.openAt(key, located{path, info}, false)
		if errors.Is(openErr, fs.ErrNotExist) {
			// Replaced since the list read the folder: what is there now is as good.
			o, openErr = d.open(key, false)
		}
		if openErr != nil {
			return knownValue{}, openErr
		}
		defer o.close()
		return listed(o.rec), nil
	}
	if err != nil {
		return knownValue{}, unusable("the object can't be read", err)
	}
	value := listed(rec)
	d.known.put(at, value)
	return value, nil
}

func listed(rec *record) knownValue {
	return knownValue{etag: rec.ETag, class: rec.class(), algorithm: rec.Algorithm, sumType: rec.SumType}
}

// content is the part of an object that an answer holds.
type content struct {
	file *os.File
	left int64
}

// Read implements io.Reader. A file that was cut short is an error, never a short answer.
func (c *content) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.EOF
	}
	n, err := c.file.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if errors.Is(err, io.EOF) && c.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// WriteTo implements io.WriterTo: what w gets is a file behind a limit, which a connection
// can send without copying it (sendfile).
func (c *content) WriteTo(w io.Writer) (int64, error) {
	n, err := io.Copy(w, &io.LimitedReader{R: c.file, N: c.left})
	c.left -= n
	if err == nil && c.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// Close implements io.Closer.
func (c *content) Close() error { return c.file.Close() }
