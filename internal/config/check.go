package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/countersign/countersign"
)

// finish fills in what depends on other keys and checks what belongs together.
func (l *loader) finish() error {
	if err := l.finishPaths(); err != nil {
		return err
	}
	if err := l.finishMaster(); err != nil {
		return err
	}
	for _, check := range []func() error{l.checkTLS, l.checkListeners, l.checkIssuer, l.checkS3} {
		if err := check(); err != nil {
			return err
		}
	}
	if u, err := url.Parse(l.cfg.Issuer); err == nil && l.cfg.STS.ServerID == "" && !isLoopbackHost(u.Hostname()) {
		l.cfg.STS.ServerID = u.Hostname()
	}
	l.cfg.Warnings = l.warnings()
	return nil
}

// finishPaths notes the folder that relative paths start at, and makes the default data
// folder absolute: it is relative as if it had been written into the file.
func (l *loader) finishPaths() (err error) {
	folder := "."
	if l.path != "" {
		folder = filepath.Dir(l.path)
	}
	if l.cfg.Folder, err = filepath.Abs(folder); err != nil {
		return countersign.WrapError(countersign.Invalid, "", "there is no working directory", err)
	}
	if _, given := l.origin["data"]; !given || !filepath.IsAbs(l.cfg.Data) {
		l.cfg.Data = filepath.Join(l.cfg.Folder, l.cfg.Data)
	}
	return nil
}

func (l *loader) finishMaster() error {
	master := &l.cfg.Keys
	if master.MasterFileConfigured && master.MasterEnv != "" {
		return invalid(countersign.ReasonParameterInvalid,
			fmt.Sprintf("%s and %s exclude each other", l.at("keys.master.file"), l.at("keys.master.env")))
	}
	if !l.cfg.Store.IsZero() && master.MasterEnv == "" && !master.MasterFileConfigured {
		return invalid(countersign.ReasonParameterMissing,
			l.at("store")+" is PostgreSQL: set keys.master.file or keys.master.env, since every replica needs the same master key")
	}
	if master.MasterEnv == "" {
		if !master.MasterFileConfigured {
			master.MasterFile = filepath.Join(l.cfg.Data, "master.key")
		}
		return nil
	}
	l.used[master.MasterEnv] = true
	master.MasterText = countersign.NewSecret(l.env[master.MasterEnv])
	if master.MasterText.IsZero() {
		return invalid(countersign.ReasonParameterMissing,
			fmt.Sprintf("%s: the environment variable %s is not set or empty", l.at("keys.master.env"), master.MasterEnv))
	}
	return nil
}

func (l *loader) checkTLS() error {
	tls := l.cfg.TLS
	if (tls.CertFile == "") != (tls.KeyFile == "") {
		given, missing := "tls.cert_file", "tls.key_file"
		if tls.CertFile == "" {
			given, missing = missing, given
		}
		return invalid(countersign.ReasonParameterMissing, fmt.Sprintf("%s needs %s too", l.at(given), missing))
	}
	for _, url := range []named{{"issuer", l.cfg.Issuer}, {"s3.url", l.cfg.S3.URL}} {
		if tls.CertFile != "" && strings.HasPrefix(url.value, "http:") {
			return invalid(countersign.ReasonParameterInvalid, fmt.Sprintf("%s is http, but tls.cert_file serves https", l.at(url.key)))
		}
	}
	return nil
}

// named is the value of a key.
type named struct{ key, value string }

// doors are the listeners that serve what is behind a proof; the third one is ops.
func (l *loader) doors() []named {
	return []named{{"listen.api", l.cfg.Listen.API}, {"listen.s3", l.cfg.Listen.S3}}
}

// checkListeners is RULES G8 for what listens.
func (l *loader) checkListeners() error {
	all := append(l.doors(), named{"listen.ops", l.cfg.Listen.Ops})
	for i, listener := range all {
		for _, other := range all[:i] {
			if _, port, err := net.SplitHostPort(listener.value); err == nil && listener.value == other.value && strings.Trim(port, "0") != "" {
				return invalid(countersign.ReasonParameterInvalid, fmt.Sprintf("%s is the same address as %s", l.at(listener.key), l.at(other.key)))
			}
		}
	}
	for _, door := range l.doors() {
		name := strings.TrimPrefix(door.key, "listen.")
		if !isLoopbackAddress(door.value) && l.cfg.TLS.CertFile == "" && !slices.Contains(l.cfg.InsecureHTTP, name) {
			return invalid(countersign.ReasonParameterInvalid, fmt.Sprintf(
				"%s is off loopback and would speak plain HTTP: set tls.cert_file and tls.key_file, or insecure_http: [%s] if a proxy before it does TLS",
				l.at(door.key), name))
		}
	}
	if l.cfg.Ops.Pprof && !isLoopbackAddress(l.cfg.Listen.Ops) {
		return invalid(countersign.ReasonParameterInvalid,
			fmt.Sprintf("%s is served on loopback only, and %s is not", l.at("ops.pprof"), l.at("listen.ops")))
	}
	return nil
}

// checkIssuer is RULES G8 for what we call ourselves. That an http issuer is on loopback
// was checked when it was set.
func (l *loader) checkIssuer() error {
	if l.cfg.Issuer == "" {
		for _, door := range l.doors() {
			if !isLoopbackAddress(door.value) {
				return invalid(countersign.ReasonParameterMissing,
					l.at(door.key)+" is off loopback: set issuer to the https URL that services reach this server by")
			}
		}
		return nil
	}
	u, err := url.Parse(l.cfg.Issuer)
	if err != nil || u.Scheme == "http" && !isLoopbackHost(u.Hostname()) {
		return invalid(countersign.ReasonParameterInvalid, l.at("issuer")+" must be https off loopback")
	}
	return nil
}

// checkS3 is RULES G10: a browser sends the console's cookies to every port of a host,
// and a bucket's owner chooses what that bucket's host serves.
func (l *loader) checkS3() error {
	if l.cfg.S3.URL == "" && !isLoopbackAddress(l.cfg.Listen.S3) {
		return invalid(countersign.ReasonParameterMissing,
			l.at("listen.s3")+" is off loopback: set s3.url to the https URL that S3 clients reach the gateway by")
	}
	issuer, err := url.Parse(l.cfg.Issuer)
	if err != nil {
		return invalid(countersign.ReasonParameterInvalid, l.at("issuer")+" must be a URL")
	}
	if l.cfg.Issuer == "" || isLoopbackHost(issuer.Hostname()) {
		return nil
	}
	gateway, err := url.Parse(l.cfg.S3.URL)
	if err != nil || gateway.Hostname() == issuer.Hostname() {
		return invalid(countersign.ReasonParameterInvalid,
			fmt.Sprintf("%s has the host of issuer: the gateway needs a host name of its own", l.at("s3.url")))
	}
	if domain := l.cfg.S3.Domain; domain != "" && (issuer.Hostname() == domain || strings.HasSuffix(issuer.Hostname(), "."+domain)) {
		return invalid(countersign.ReasonParameterInvalid,
			fmt.Sprintf("%s is the host of issuer or above it, and the hosts below it are buckets: choose another domain", l.at("s3.domain")))
	}
	return nil
}
