package web

import (
	"errors"
	"io"
	"net/http"

	"github.com/countersign/countersign"
)

// responseWriter remembers what was answered. http.ResponseController reaches the
// connection through Unwrap.
type responseWriter struct {
	http.ResponseWriter
	status int // 0 until the header is written
	bytes  int64
}

// Unwrap is for http.ResponseController.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *responseWriter) written() bool { return w.status != 0 }

// started marks the header as written.
func (w *responseWriter) started(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *responseWriter) WriteHeader(status int) {
	// 1xx answers may come before the real one; only 101 ends the matter.
	if status >= 200 || status == http.StatusSwitchingProtocols {
		w.started(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *responseWriter) Write(p []byte) (int, error) {
	w.started(http.StatusOK)
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, writeError(err)
}

// writeError tells a client that does not take its answer from a handler that writes what it
// may not.
func writeError(err error) error {
	if err == nil || errors.Is(err, http.ErrBodyNotAllowed) || errors.Is(err, http.ErrContentLength) || errors.Is(err, http.ErrHijacked) {
		return err
	}
	return countersign.WrapError(countersign.Internal, countersign.ReasonClientGone, "", err)
}

// WriteString implements io.StringWriter.
func (w *responseWriter) WriteString(s string) (int, error) {
	w.started(http.StatusOK)
	n, err := io.WriteString(w.ResponseWriter, s)
	w.bytes += int64(n)
	return n, writeError(err)
}

// ReadFrom implements io.ReaderFrom, so that files and sockets are copied by the kernel.
func (w *responseWriter) ReadFrom(src io.Reader) (int64, error) {
	w.started(http.StatusOK)
	n, err := io.Copy(w.ResponseWriter, src)
	w.bytes += n
	return n, err
}

// FlushError is http.ResponseController's Flush: it writes the header.
func (w *responseWriter) FlushError() error {
	w.started(http.StatusOK)
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Flush implements http.Flusher.
func (w *responseWriter) Flush() { _ = w.FlushError() }

// findWriter returns the responseWriter in or under w; nil when there is none.
func findWriter(w http.ResponseWriter) *responseWriter {
	for {
		if found, ok := w.(*responseWriter); ok {
			return found
		}
		wrapped, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return nil
		}
		w = wrapped.Unwrap()
	}
}
