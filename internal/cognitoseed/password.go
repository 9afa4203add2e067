package cognitoseed

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"

	"github.com/countersign/countersign"
)

// newPassword draws a password of at least 256 random bits. Its end satisfies every
// policy of kinds of characters; it needs no quotes in a shell.
func newPassword(minimum int) countersign.Secret {
	text := rand.Text() + rand.Text()
	for len(text) < minimum {
		text += rand.Text()
	}
	return countersign.NewSecret(text + "-aA0")
}

// secretHash binds a sign-in to the client's secret.
//
// Source: Amazon Cognito developer guide, "Computing secret hash values".
func secretHash(username string, c client) string {
	mac := hmac.New(sha256.New, []byte(c.secret.Reveal()))
	mac.Write([]byte(username + c.id))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
