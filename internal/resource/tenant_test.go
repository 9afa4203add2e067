package resource_test

import (
	"strings"
	"testing"

	"github.com/countersign/countersign/internal/resource"
)

func TestTenantAndUserRole(t *testing.T) {
	t.Parallel()
	documents, err := resource.Parse([]resource.File{{Name: "f", Content: []byte(
		"kind: Tenant\nname: acme\ndisplay_name: Acme Inc.\n---\nkind: UserRole\nname: admin\ntenant: acme\npermissions: [users.write, tenants.read, users.read]\n")}})
	if err != nil {
		t.Fatal(err)
	}
	if documents[0].OfTenant.DisplayName != "Acme Inc." || strings.Join(documents[1].UserRole.Permissions, " ") != "tenants.read users.read users.write" {
		t.Errorf("got %+v %+v", documents[0].OfTenant, documents[1].UserRole)
	}
	for i := range documents {
		spec, err := documents[i].Spec()
		if err != nil {
			t.Fatal(err)
		}
		back, err := resource.FromSpec(documents[i].Kind, documents[i].Name, documents[i].Tenant, spec)
		if err != nil {
			t.Fatal(err)
		}
		one, _ := documents[i].YAML()
		if two, err := back.YAML(); err != nil || string(one) != string(two) {
			t.Errorf("%s: %s, %v", one, two, err)
		}
	}
}

func TestTenantAndUserRoleRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"kind: Tenant\nname: acme\ntenant: acme\n",
		"kind: Tenant\nname: Acme\n",
		"kind: Tenant\nname: acme\ndisplay_name: \"a\\u0007b\"\n",
		"kind: Tenant\nname: acme\ndisplay_name: " + strings.Repeat("a", 257) + "\n",
		"kind: Tenant\nname: acme\npermissions: [users.read]\n",
		"kind: Tenant\nname: iam-service\n",
		"kind: UserRole\nname: admin\n",
		"kind: UserRole\nname: admin\npermissions: [users.reed]\n",
		"kind: UserRole\nname: admin\npermissions: [users.read, users.read]\n",
		"kind: UserRole\nname: admin\npermissions: [\"*\"]\n",
		"kind: UserRole\nname: admin\npermissions: users.read\n",
		"kind: UserRole\nname: super-admin\npermissions: []\n",
		"kind: UserRole\nname: tenant-admin\npermissions: [users.read]\n",
		"kind: UserRole\nname: member\npermissions: []\n",
	} {
		if _, err := resource.Parse([]resource.File{{Name: "f", Content: []byte(text)}}); err == nil {
			t.Errorf("taken: %s", text)
		}
	}
}
