package s3dir

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/countersign/countersign/internal/s3api"
)

func BenchmarkPut(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			d, _ := open(b)
			body := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				put(b, d, fmt.Sprintf("a/%d", i%10), string(body))
			}
		})
	}
}

func BenchmarkGet(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			d, _ := open(b)
			put(b, d, "a/b", string(make([]byte, size)))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				response, err := d.Do(context.Background(), request(s3api.GetObject, "a/b", nil))
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, response.Body); err != nil || n != int64(size) {
					b.Fatal(n, err)
				}
				_ = response.Body.Close()
			}
		})
	}
}

// BenchmarkList is a page of 1,000 of a folder with so many files, the second time.
func BenchmarkList(b *testing.B) {
	for _, files := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(files), func(b *testing.B) {
			d, folder := open(b)
			d.now = func() time.Time { return time.Now().Add(time.Hour) } // the files have settled
			for i := range files {
				write(b, folder, fmt.Sprintf("many/%05d", i), "")
			}
			r := request(s3api.ListObjectsV2, "", nil, "?prefix", "many/", "?start-after", "many/005")
			must(b, d, r)
			b.ReportAllocs()
			for b.Loop() {
				must(b, d, r)
			}
		})
	}
}
