package sqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
	"github.com/countersign/countersign/internal/store/storetest"
)

// serve accepts connections until the test ends and returns the address.
func serve(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close()
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		group.Wait()
	})
	return listener.Addr().String()
}

// greet is a server that answers the first message of each connection.
func greet(t *testing.T, answers ...pgproto3.BackendMessage) string {
	t.Helper()
	return serve(t, func(conn net.Conn) {
		backend := pgproto3.NewBackend(conn, conn)
		if _, err := backend.ReceiveStartupMessage(); err != nil {
			return
		}
		for _, answer := range answers {
			backend.Send(answer)
		}
		_ = backend.Flush()
		_, _ = io.Copy(io.Discard, conn) // until the client goes
	})
}

func TestPostgresRefusesServersThatItCanNotWorkWith(t *testing.T) {
	t.Parallel()
	version := func(v, encoding string) []pgproto3.BackendMessage {
		return []pgproto3.BackendMessage{
			&pgproto3.AuthenticationOk{},
			&pgproto3.ParameterStatus{Name: "server_version", Value: v},
			&pgproto3.ParameterStatus{Name: "server_encoding", Value: encoding},
			&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}},
			&pgproto3.ReadyForQuery{TxStatus: 'I'},
		}
	}
	for name, test := range map[string]struct {
		answers []pgproto3.BackendMessage
		code    countersign.Code
	}{
		"12":            {version("12.19 (Debian 12.19-1.pgdg120+1)", "UTF8"), countersign.Invalid},
		"9.6":           {version("9.6.24", "UTF8"), countersign.Invalid},
		"beta":          {version("12beta1", "UTF8"), countersign.Invalid},
		"no number":     {version("devel", "UTF8"), countersign.Invalid},
		"no version":    {version("", "UTF8"), countersign.Invalid},
		"other letters": {version("15.4", "SQL_ASCII"), countersign.Invalid},
		"a pooler": {[]pgproto3.BackendMessage{&pgproto3.ErrorResponse{
			Severity: "FATAL", Code: "08P01", Message: "unsupported startup parameter: statement_timeout",
		}}, countersign.Invalid},
		"too many clients": {[]pgproto3.BackendMessage{&pgproto3.ErrorResponse{
			Severity: "FATAL", Code: "53300", Message: "sorry, too many clients already",
		}}, countersign.Unavailable},
		"starting":   {[]pgproto3.BackendMessage{&pgproto3.ErrorResponse{Severity: "FATAL", Code: "57P03"}}, countersign.Unavailable},
		"no answers": {nil, countersign.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := "postgres://u:hunter2@" + greet(t, test.answers...) + "/db?sslmode=disable&connect_timeout=1"
			s, err := sqlstore.OpenPostgres(t.Context(), dsn, sqlstore.PostgresOptions{})
			if countersign.CodeOf(err) != test.code || countersign.ReasonOf(err) != countersign.ReasonStoreUnavailable {
				t.Errorf("%v, %v; want %s", s, err, test.code)
			}
		})
	}
}

// The connection is lost after COMMIT was sent and before its answer came: the server
// has committed, the store can't know that, and does not say yes.
func TestPostgresUnknownOutcomeIsUnavailable(t *testing.T) {
	t.Parallel()
	dsn, err := url.Parse(storetest.Postgres(t).NewDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	direct := openPostgres(t, dsn.String())
	var cut atomic.Bool
	server := dsn.Host
	dsn.Host = serve(t, func(client net.Conn) { relay(client, server, &cut) })
	s := openPostgres(t, dsn.String())

	write := func(name string) error {
		return s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
			err := tx.CreateService(ctx, store.Service{UID: "uid-" + name, Name: name})
			cut.Store(name == "unknown")
			return err
		})
	}
	if err := write("known"); err != nil {
		t.Fatal(err)
	}
	if err := write("unknown"); !errors.Is(err, countersign.Unavailable) {
		t.Errorf("without an answer to COMMIT: %v, want Unavailable", err)
	}
	cut.Store(false)
	isThere(t, direct, "unknown", true)
	if err := write("unknown"); !errors.Is(err, countersign.Conflict) {
		t.Errorf("again: %v, want Conflict", err)
	}
	cut.Store(false)
	works(t, s, "after")

	// The same for what may be used once: nobody was told that he was first.
	for i := range 3 {
		key := fmt.Sprint("key-", i)
		cut.Store(true)
		if first, err := s.UseOnce(t.Context(), key, time.Unix(2e9, 0), time.Unix(1e9, 0)); first || !errors.Is(err, countersign.Unavailable) {
			t.Errorf("%s: %v, %v", key, first, err)
		}
		cut.Store(false)
		if first, err := direct.UseOnce(t.Context(), key, time.Unix(2e9, 0), time.Unix(1e9, 0)); first || err != nil {
			t.Errorf("%s after that: %v, %v", key, first, err)
		}
	}
}

// relay passes on what is said. With cut, the answer to a COMMIT is not, and the
// connection ends.
func relay(client net.Conn, address string, cut *atomic.Bool) {
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	var committing atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer client.Close()
		buffer := make([]byte, 64<<10)
		for {
			n, err := server.Read(buffer)
			if err != nil || committing.Load() && cut.Load() {
				return
			}
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := client.Read(buffer)
		if err != nil {
			break
		}
		committing.Store(bytes.Contains(buffer[:n], []byte("COMMIT\x00")))
		if _, err := server.Write(buffer[:n]); err != nil {
			break
		}
	}
	_ = server.Close()
	<-done
}
