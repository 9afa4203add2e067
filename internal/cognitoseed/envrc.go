package cognitoseed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/countersign/countersign"
)

// Names of the variables in an .envrc.
const (
	EnvRegion       = "COUNTERSIGN_COGNITO_REGION"
	EnvUserPoolID   = "COUNTERSIGN_COGNITO_USER_POOL_ID"
	EnvClientID     = "COUNTERSIGN_COGNITO_CLIENT_ID"
	EnvClientSecret = "COUNTERSIGN_COGNITO_CLIENT_SECRET" //nolint:gosec // the name of a variable
	EnvUsername     = "COUNTERSIGN_COGNITO_USERNAME"
	EnvPassword     = "COUNTERSIGN_COGNITO_PASSWORD" //nolint:gosec // the name of a variable
)

// The lines around what is ours in a file that may hold more.
const (
	envrcBegin = "# begin: written by countersign cognito seed; keep this file out of version control"
	envrcEnd   = "# end: countersign cognito seed"
)

// maxEnvrc bounds a file that is there already.
const maxEnvrc = 1 << 20

func (c *Config) checkEnvrc() error {
	if c.Envrc != "" && len(c.Services) > 1 && !strings.Contains(c.Envrc, "{service}") {
		return invalid("several services do not fit into one .envrc: name a file with {service} in its path")
	}
	return nil
}

func (s *seed) envrcPath(service string) string {
	return strings.ReplaceAll(s.Envrc, "{service}", service)
}

// inspectEnvrc refuses a file that could not be written, before anything is made that
// belongs into it.
func (s *seed) inspectEnvrc(service string) error {
	if s.Envrc == "" {
		return nil
	}
	path := s.envrcPath(service)
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return countersign.WrapError(countersign.Unavailable, "", "the folder of "+path+" is not there", err)
	}
	is, _, err := readEnvrc(path)
	if err != nil {
		return err
	}
	_, err = replaceBlock(path, is, "")
	return err
}

// ensureEnvrc writes our block of the file and leaves the rest of it alone.
func (s *seed) ensureEnvrc(a *account, password countersign.Secret) error {
	if s.Envrc == "" {
		return nil
	}
	path := s.envrcPath(a.service)
	is, mode, err := readEnvrc(path)
	if err != nil {
		return err
	}
	want, err := replaceBlock(path, is, s.envrcBlock(a, password))
	if err != nil {
		return err
	}
	if mode == 0o600 && bytes.Equal(is, want) {
		return nil
	}
	return s.step(WriteFile, path, func() error { return replaceFile(path, want) })
}

func (s *seed) envrcBlock(a *account, password countersign.Secret) string {
	var b strings.Builder
	b.WriteString(envrcBegin + "\n")
	for _, line := range [][2]string{
		{EnvRegion, s.Region}, {EnvUserPoolID, s.UserPoolID}, {EnvClientID, s.client.id},
		{EnvClientSecret, s.client.secret.Reveal()}, {EnvUsername, a.username}, {EnvPassword, password.Reveal()},
	} {
		fmt.Fprintf(&b, "export %s=%s\n", line[0], quote(line[1]))
	}
	b.WriteString(envrcEnd + "\n")
	return b.String()
}

// quote makes one word of a shell: the file is run by one.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// replaceBlock puts the block where the old one is, else at the end.
func replaceBlock(path string, file []byte, block string) ([]byte, error) {
	text := string(file)
	before, rest, found := strings.Cut(text, envrcBegin+"\n")
	if !found {
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		return []byte(text + block), nil
	}
	_, after, ended := strings.Cut(rest, envrcEnd+"\n")
	if !ended || strings.Contains(after, envrcBegin+"\n") {
		return nil, conflict(path + " has not exactly one whole block of countersign cognito seed: look at it")
	}
	return []byte(before + block + after), nil
}

// readEnvrc reads a file that may not be there.
func readEnvrc(path string) ([]byte, fs.FileMode, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err == nil && !info.Mode().IsRegular() {
		return nil, 0, conflict(path + " is no file of its own: secrets are not written through it")
	}
	if err != nil {
		return nil, 0, countersign.WrapError(countersign.Unavailable, "", path+" can't be read", err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, countersign.WrapError(countersign.Unavailable, "", path+" can't be read", err)
	}
	defer func() { _ = file.Close() }()
	body, err := io.ReadAll(io.LimitReader(file, maxEnvrc+1))
	if err != nil {
		return nil, 0, countersign.WrapError(countersign.Unavailable, "", path+" can't be read", err)
	}
	if len(body) > maxEnvrc {
		return nil, 0, conflict(path + " is too large for an .envrc")
	}
	return body, info.Mode().Perm(), nil
}

// replaceFile writes all of it or nothing, readable by its owner alone.
func replaceFile(path string, body []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".envrc-*") // 0600
	if err != nil {
		return countersign.WrapError(countersign.Unavailable, "", path+" can't be written", err)
	}
	_, err = file.Write(body)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return countersign.WrapError(countersign.Unavailable, "", path+" can't be written", err)
	}
	return nil
}
