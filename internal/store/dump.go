package store

import "context"

// DumpSink takes a whole database, table by table. It must not keep values.
type DumpSink interface {
	// Table begins a table. Its rows follow.
	Table(name string, columns []string) error
	// Row is one row of the table that began last: an int64, a string, a []byte or nil for
	// each column.
	Row(values []any) error
}

// Dumper reads a whole database as it is at one moment, while others write it.
type Dumper interface {
	// Dump gives everything to what begin returns, which is told the version of the schema.
	Dump(ctx context.Context, begin func(schema int64) (DumpSink, error)) error
}

// DumpSource is what Dump gave, as it is read again: it gives all of it to sink, in the same
// order.
type DumpSource func(ctx context.Context, sink DumpSink) error
