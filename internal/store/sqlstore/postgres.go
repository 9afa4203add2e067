package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/countersign/countersign"
)

// PostgresOptions of a database. The zero value is what serve uses. A time that the
// DSN sets by its PostgreSQL name (connect_timeout, statement_timeout, lock_timeout,
// idle_in_transaction_session_timeout) is the DSN's.
type PostgresOptions struct {
	// Readers is how many reads run at once; 0 = 4. One connection more writes and one
	// listens.
	Readers int
	// ConnectTimeout bounds one attempt to reach one host; 0 = 2 s.
	ConnectTimeout time.Duration
	// StatementTimeout is how long a statement may run; 0 = 4 s. The connection of one
	// that has no answer a second later is given up, whatever the DSN sets: the server is
	// gone.
	StatementTimeout time.Duration
	// LockTimeout is how long a write waits for another process; 0 = 3 s.
	LockTimeout time.Duration
	// IdleTimeout is how long the server keeps a transaction open for a process from
	// which it hears nothing, and with it the lock that all others need; 0 = 10 s.
	IdleTimeout time.Duration
}

// oldestPostgres is the oldest major version that still has what is used here.
const oldestPostgres = 13

var postgresDialect = dialect{
	name:         "postgres",
	goose:        goose.DialectPostgres,
	begin:        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
	classify:     classifyPostgres,
	lost:         lostPostgres,
	control:      controlPostgres,
	shared:       true,
	feedHead:     selectSharedHead,
	insertInWith: true,
	savepoint:    true,

	skipLocked: " FOR UPDATE SKIP LOCKED",

	snapshot: sql.LevelRepeatableRead,
	patient:  []string{`SET LOCAL statement_timeout = 0`, `SET LOCAL idle_in_transaction_session_timeout = 60000`},
}

// classifyPostgres tells the constraints apart; any other error is an outage.
// Source: PostgreSQL 15 documentation, appendix A.
func classifyPostgres(err error) fault {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return faultOther
	}
	switch e.Code {
	case "23505": // unique_violation
		return faultUnique
	case "23503": // foreign_key_violation
		return faultReference
	default:
		return faultOther
	}
}

// lostPostgres reports whether another connection may do better: the server said
// goodbye, or nothing. Whoever could not connect, or waited in vain, gives up.
// Source: PostgreSQL 15 documentation, appendix A.
func lostPostgres(err error) bool {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code == "57P01" || e.Code == "57P02" // admin_shutdown, crash_shutdown
	}
	return !pgconn.Timeout(err) && !errors.Is(err, context.DeadlineExceeded) &&
		(errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) ||
			errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, driver.ErrBadConn))
}

// errNotCommitted is a COMMIT that the server answered with ROLLBACK: a statement
// had failed before, and PostgreSQL says so only in the name of its answer.
var errNotCommitted = errors.New("the transaction was rolled back")

// controlPostgres sends BEGIN, COMMIT or ROLLBACK.
func controlPostgres(ctx context.Context, conn *sql.Conn, text string) error {
	return conn.Raw(func(driverConn any) error {
		c, ok := driverConn.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("a connection of type %T", driverConn)
		}
		tag, err := c.Conn().Exec(ctx, text, pgx.QueryExecModeSimpleProtocol)
		if err == nil && text == commit && tag.String() != commit {
			return errNotCommitted
		}
		return err
	})
}

// OpenPostgres opens the PostgreSQL database that dsn names, a postgres:// or
// postgresql:// URL, and brings its schema up to date; of processes that start at once,
// one does and the others wait. The database and its user must exist. What the URL
// leaves out comes from libpq's environment variables and password file. One that
// names several hosts finds the one that takes writes, also after a failover.
//
// Every connection is a session with settings, prepared statements, LISTEN and
// advisory locks: a pooler in between must work in session mode, and one that gives each
// transaction another session is refused. PgBouncer refuses the settings unless it is told to
// ignore them, and that refusal is reported as Invalid.
//
// Errors: countersign.Invalid for a DSN that can't be read, a server or schema that
// this program can't work with; countersign.Unavailable for everything else. No error
// quotes the DSN.
func OpenPostgres(ctx context.Context, dsn string, opts PostgresOptions) (*Store, error) {
	opts = opts.withDefaults()
	config, err := postgresConfig(dsn, opts)
	if err != nil {
		return nil, err
	}
	cables := &wires{open: make(map[*wire]struct{})}
	config.DialFunc = cables.dialer(config.DialFunc)
	d := postgresDialect
	d.limit = opts.StatementTimeout + time.Second
	if err := checkPooler(ctx, config); err != nil {
		if refused := (*unusable)(nil); !errors.As(err, &refused) {
			err = unavailable("connect", err)
		}
		return nil, openError(err)
	}
	s, err := open(ctx, d, postgresPool(*config, 1), postgresPool(*config, opts.Readers))
	if err != nil {
		return nil, openError(err)
	}
	s.sever, s.listener = cables.sever, listen(config)
	return s, nil
}

// setupFaults are what whoever sets a database up gets wrong, by the server's code.
// Source: PostgreSQL 15 documentation, appendix A.
var setupFaults = map[string]string{
	"28000": "the database refuses the user",
	"28P01": "the database refuses the user or the password",
	"3D000": "there is no such database on the server",
	"42501": "the database's user may not create tables in it",
}

// openError says what is wrong where the operator can put it right.
func openError(err error) error {
	// Said while connecting, it is inside an error of the driver.
	var refused *unusable
	if errors.As(err, &refused) {
		return countersign.NewError(countersign.Invalid, countersign.ReasonStoreUnavailable, refused.message)
	}
	var e *pgconn.PgError
	if errors.As(err, &e) && setupFaults[e.Code] != "" {
		return countersign.WrapError(countersign.Unavailable, countersign.ReasonStoreUnavailable, setupFaults[e.Code], err)
	}
	return err
}

func (o PostgresOptions) withDefaults() PostgresOptions {
	if o.Readers <= 0 {
		o.Readers = 4
	}
	for _, t := range []struct {
		value *time.Duration
		or    time.Duration
	}{
		{&o.ConnectTimeout, 2 * time.Second},
		{&o.StatementTimeout, 4 * time.Second},
		{&o.LockTimeout, 3 * time.Second},
		{&o.IdleTimeout, 10 * time.Second},
	} {
		if *t.value <= 0 {
			*t.value = t.or
		}
	}
	return o
}

// postgresConfig reads the DSN. The driver's own errors quote it, so none is passed on.
func postgresConfig(dsn string, opts PostgresOptions) (*pgx.ConnConfig, error) {
	if u, err := url.Parse(dsn); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return nil, unreadableDSN()
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, unreadableDSN()
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = opts.ConnectTimeout
	}
	// A connection that is idle, the listener's above all, learns of a dead host too.
	dialer := &net.Dialer{Timeout: config.ConnectTimeout, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: 5 * time.Second, Interval: time.Second, Count: 3,
	}}
	config.DialFunc = dialer.DialContext
	config.ValidateConnect = validatePostgres
	for name, value := range map[string]string{
		"application_name":                    "countersign",
		"statement_timeout":                   milliseconds(opts.StatementTimeout),
		"lock_timeout":                        milliseconds(opts.LockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(opts.IdleTimeout),
	} {
		if config.RuntimeParams[name] == "" && !strings.Contains(config.RuntimeParams["options"], name) {
			config.RuntimeParams[name] = value
		}
	}
	return config, nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func unreadableDSN() error {
	return countersign.NewError(countersign.Invalid, countersign.ReasonStoreUnavailable,
		"the store's address can't be read: it is a URL like postgres://user@host/database")
}

func postgresPool(config pgx.ConnConfig, size int) *sql.DB {
	// Reads are rare (the token path reads memory), so each may ask first whether its
	// connection is alive: the first one after a restart of the server works.
	always := func(context.Context, stdlib.ShouldPingParams) bool { return true }
	pool := sql.OpenDB(connector{stdlib.GetConnector(config, stdlib.OptionShouldPing(always))})
	pool.SetMaxOpenConns(size)
	pool.SetMaxIdleConns(size)
	return pool
}

// connector takes the configuration, which holds the password, out of errors.
type connector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, plainConnectError(err)
	}
	return conn, nil
}

func plainConnectError(err error) error {
	var refused *pgconn.PgError
	if errors.As(err, &refused) && strings.Contains(refused.Message, "unsupported startup parameter") {
		// Source: PgBouncer's src/client.c, and its option ignore_startup_parameters.
		return &unusable{"the database is behind a pooler that refuses settings of a session: connect to it directly"}
	}
	var e *pgconn.ConnectError
	if errors.As(err, &e) {
		return fmt.Errorf("connect: %w", e.Unwrap())
	}
	return err
}

// unusable is a server that answers and that this program can't work with.
type unusable struct{ message string }

// Error implements error.
func (u *unusable) Error() string { return u.message }

// validatePostgres looks at each new connection before it is used. A standby is
// refused like a host that is down, so that the next one is tried: what it shows is
// old, and revocations may not be.
func validatePostgres(ctx context.Context, conn *pgconn.PgConn) error {
	if n := leadingNumber(conn.ParameterStatus("server_version")); n < oldestPostgres {
		return &unusable{fmt.Sprintf("the database server has version %d of PostgreSQL: %d is the oldest that works", n, oldestPostgres)}
	}
	if encoding := conn.ParameterStatus("server_encoding"); encoding != "" && encoding != "UTF8" {
		return &unusable{"the database's encoding is not UTF8"}
	}
	results, err := conn.Exec(ctx, "SHOW transaction_read_only; SHOW synchronous_commit").ReadAll()
	if err != nil {
		return err
	}
	if len(results) != 2 || len(results[0].Rows) != 1 || len(results[1].Rows) != 1 {
		return errors.New("the server's settings can't be read")
	}
	if string(results[0].Rows[0][0]) != "off" {
		return errors.New("the server takes no writes")
	}
	if string(results[1].Rows[0][0]) == "off" {
		// What was answered must be on disk, whatever the user's or database's default is.
		return conn.Exec(ctx, "SET synchronous_commit = on").Close()
	}
	return nil
}

// leadingNumber returns the number that text begins with, 0 for none.
func leadingNumber(text string) int {
	end := 0
	for end < len(text) && end < 4 && text[end] >= '0' && text[end] <= '9' {
		end++
	}
	n, _ := strconv.Atoi(text[:end])
	return n
}
