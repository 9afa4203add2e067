package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/countersign/countersign"
	"github.com/countersign/countersign/tokensource"
	"github.com/countersign/countersign/verify"
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:8500", "address of the page")
	server := flag.String("server", "http://127.0.0.1:8440", "URL of Countersign")
	issuer := flag.String("users", "", "issuer URL of the administrators")
	audience := flag.String("audience", "admin-console", "audience of the administrators' tokens")
	flag.Parse()
	source := &tokensource.ClientCredentials{
		TokenURL: *server + "/oauth2/token", ClientID: os.Getenv("COUNTERSIGN_CLIENT_ID"),
		ClientSecret: countersign.NewSecret(os.Getenv("COUNTERSIGN_CLIENT_SECRET")), Scopes: []string{"s2s:internal"},
	}
	defer func() { _ = source.Close() }()
	verifier, err := verify.New(verify.Config{Issuers: []verify.Issuer{{URL: *issuer, Subject: verify.User, Audiences: []string{*audience}}}})
	if err != nil {
		return err
	}
	defer func() { _ = verifier.Close() }()
	handler, err := newBFF(*server, source, verifier)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	srv := &http.Server{Addr: *listen, Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() { <-ctx.Done(); _ = srv.Shutdown(context.WithoutCancel(ctx)) }()
	log.Printf("the page is at http://%s", *listen)
	if err := srv.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
