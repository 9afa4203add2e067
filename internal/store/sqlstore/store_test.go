package sqlstore_test

import (
	"path/filepath"
	"testing"

	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		t.Helper()
		return openStore(t, filepath.Join(t.TempDir(), "countersign.db"))
	})
}
