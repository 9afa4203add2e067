//go:build clients

package emulators

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"

	"github.com/countersign/countersign/authtest"
	"github.com/countersign/countersign/test/foreign"
)

// TestCognitoAsDirectory: a service looks people up whom an emulator of Cognito keeps.
func TestCognitoAsDirectory(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	for name, start := range map[string]func(*testing.T) string{"moto": foreign.Moto, "cognito-local": foreign.CognitoLocal} {
		t.Run(name, func(t *testing.T) {
			url := start(t)
			r := newRig(t, url, url, true)
			subjects := map[string]string{}
			for _, who := range []string{"ada", "bea", "ben"} {
				out, err := r.cognito.AdminCreateUser(t.Context(), &cognitoidentityprovider.AdminCreateUserInput{
					UserPoolId: &r.pool, Username: aws.String(who), MessageAction: types.MessageActionTypeSuppress,
					UserAttributes: []types.AttributeType{{Name: aws.String("email"), Value: aws.String(who + "@x.example")}, {Name: aws.String("name"), Value: aws.String("N " + who)}},
				})
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range out.User.Attributes {
					if *a.Name == "sub" {
						subjects[who] = *a.Value
					}
				}
			}
			srv := authtest.New(t, "COUNTERSIGN_DIRECTORIES_COGNITO="+r.pool, "COUNTERSIGN_DIRECTORIES_COGNITO_ENDPOINT="+url)
			bff := srv.CreateService(t, "admin-bff", authtest.Service{Scopes: []string{"s2s:internal"}, Audiences: []string{"iam-service"}})
			token, err := bff.Source.Token(t.Context(), "iam-service")
			if err != nil {
				t.Fatal(err)
			}
			query := func(body string) (out struct {
				Results []struct {
					Users []struct{ Username, Email, Subject, Directory, Issuer string }
					Error string
				}
				Users         []struct{ Username string }
				NextPageToken string `json:"next_page_token"`
			}) {
				t.Helper()
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/api/iam/v1/system/users/query", strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				request.Header.Set("Authorization", "Bearer "+token.Value.Reveal())
				request.Header.Set("Content-Type", "application/json")
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = response.Body.Close() }()
				text, _ := io.ReadAll(response.Body)
				if response.StatusCode != http.StatusOK {
					t.Fatalf("%s: %d %s", body, response.StatusCode, text)
				}
				if err := json.Unmarshal(text, &out); err != nil {
					t.Fatal(err)
				}
				return out
			}
			out := query(`{"ids":["` + subjects["ada"] + `","nobody"],"emails":["bea@x.example"],"usernames":["ben","nobody"]}`)
			var told []string
			for _, one := range out.Results {
				line := one.Error
				for _, u := range one.Users {
					line += u.Username + "=" + u.Email + "=" + u.Directory
					if u.Subject != subjects[u.Username] || u.Issuer != url+"/"+r.pool {
						t.Errorf("%+v", u)
					}
				}
				told = append(told, line)
			}
			in := "=cognito:" + r.pool
			want := []string{"ada=ada@x.example" + in, "not_found", "bea=bea@x.example" + in, "ben=ben@x.example" + in, "not_found"}
			if strings.Join(told, " ") != strings.Join(want, " ") {
				t.Errorf("got  %v\nwant %v", told, want)
			}
			names := map[string]bool{}
			for page := `{"page_size":2}`; ; {
				got := query(page)
				for _, u := range got.Users {
					names[u.Username] = true
				}
				if got.NextPageToken == "" {
					break
				}
				page = `{"page_size":2,"page_token":"` + got.NextPageToken + `"}`
			}
			if len(names) != 3 {
				t.Errorf("listed %v", names)
			}
			if got := query(`{"filter":[{"field":"username","op":"prefix","value":"b"}]}`); len(got.Users) != 2 {
				t.Errorf("b…: %+v", got.Users)
			}
			if got := query(`{"filter":[{"field":"email","op":"eq","value":"x\" or \"1\"=\"1"}]}`); len(got.Users) != 0 {
				t.Errorf("an injection finds %+v", got.Users)
			}
		})
	}
}
