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
	for _, check := range []func() error{l.checkTLS, l.checkListeners, l.checkIssuer} {
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

// finishPaths makes the default data folder absolute: it is relative as if it had been
// written into the file.
func (l *loader) finishPaths() error {
	if _, given := l.origin["data"]; given && filepath.IsAbs(l.cfg.Data) {
		return nil
	}
	folder := "."
	if l.path != "" {
		folder = filepath.Dir(l.path)
	}
	data, err := filepath.Abs(filepath.Join(folder, l.cfg.Data))
	if err != nil {
		return countersign.WrapError(countersign.Invalid, "", "there is no working directory", err)
	}
	l.cfg.Data = data
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
	if tls.CertFile != "" && strings.HasPrefix(l.cfg.Issuer, "http:") {
		return invalid(countersign.ReasonParameterInvalid, fmt.Sprintf("%s is http, but tls.cert_file serves https", l.at("issuer")))
	}
	return nil
}

// checkListeners is RULES G8 for what listens.
func (l *loader) checkListeners() error {
	api, ops := l.cfg.Listen.API, l.cfg.Listen.Ops
	if _, port, err := net.SplitHostPort(api); err == nil && api == ops && strings.Trim(port, "0") != "" {
		return invalid(countersign.ReasonParameterInvalid, fmt.Sprintf("%s is the same address as %s", l.at("listen.ops"), l.at("listen.api")))
	}
	if !isLoopbackAddress(api) && l.cfg.TLS.CertFile == "" && !slices.Contains(l.cfg.InsecureHTTP, "api") {
		return invalid(countersign.ReasonParameterInvalid,
			l.at("listen.api")+" is off loopback and would speak plain HTTP: set tls.cert_file and tls.key_file, or insecure_http: [api] if a proxy before it does TLS")
	}
	if l.cfg.Ops.Pprof && !isLoopbackAddress(ops) {
		return invalid(countersign.ReasonParameterInvalid,
			fmt.Sprintf("%s is served on loopback only, and %s is not", l.at("ops.pprof"), l.at("listen.ops")))
	}
	return nil
}

// checkIssuer is RULES G8 for what we call ourselves. That an http issuer is on loopback
// was checked when it was set.
func (l *loader) checkIssuer() error {
	if l.cfg.Issuer == "" {
		if !isLoopbackAddress(l.cfg.Listen.API) {
			return invalid(countersign.ReasonParameterMissing,
				l.at("listen.api")+" is off loopback: set issuer to the https URL that services reach this server by")
		}
		return nil
	}
	u, err := url.Parse(l.cfg.Issuer)
	if err != nil || u.Scheme == "http" && !isLoopbackHost(u.Hostname()) {
		return invalid(countersign.ReasonParameterInvalid, l.at("issuer")+" must be https off loopback")
	}
	return nil
}
