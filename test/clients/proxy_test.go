//go:build clients

package clients

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"
)

func shorten(r *http.Response) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	soon := time.Now().Add(2 * time.Minute).UTC().Format(time.RFC3339)
	body = xmlExpiration.ReplaceAll(body, []byte("<Expiration>"+soon+"</Expiration>"))
	body = jsonExpiration.ReplaceAll(body, []byte(`"Expiration":"`+soon+`"`))
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}
