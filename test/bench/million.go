package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	cs "github.com/countersign/countersign"
	"github.com/countersign/countersign/internal/keys"
	"github.com/countersign/countersign/internal/store"
	"github.com/countersign/countersign/internal/store/sqlstore"
)

const (
	few     = 10
	perTime = 5_000 // services in one transaction
)

// millionServices compares the token endpoint with a million services to one with ten:
// every request is another service's, so that nearly all of them get loaded.
func millionServices(o options, folder string) error {
	fmt.Printf("\n%d registered services (each request another service's)\n", o.services)
	var loaded []*countersign
	defer func() {
		for _, c := range loaded {
			c.end()
		}
	}()
	var subjects []subject
	for _, count := range []int{o.services, few} {
		data := filepath.Join(folder, "services-"+strconv.Itoa(count))
		secret, err := register(o, data, count)
		if err != nil {
			return fmt.Errorf("register %d services: %w", count, err)
		}
		c, took, err := startCountersign(o.binary, data)
		if err != nil {
			return err
		}
		loaded = append(loaded, c)
		name := "countersign"
		if count == few {
			name = "ten services"
		} else {
			row("cold start with all of them", fmt.Sprintf("%.0f ms", float64(took.Microseconds())/1000), "≤ 1000 ms")
		}
		subjects = append(subjects, subject{name: name, url: c.url + "/oauth2/token", secret: secret, services: count})
	}
	// Once through all of them, so that steady state is compared, and memory is that of all.
	if err := touchAll(subjects[0]); err != nil {
		return err
	}
	if err := compare(o, folder, subjects, 64, map[string]string{"ten services 64": "≥ 0.90"}); err != nil {
		return err
	}
	size, err := loaded[0].residentMiB()
	if err != nil {
		return err
	}
	row("resident memory, all of them in use", fmt.Sprintf("%.0f MiB", size), "≤ 1024 MiB")
	return nil
}

// register makes a data folder with count services, whose secret is the same: written to
// the database directly, because a million calls would be the longest part of it all.
func register(o options, data string, count int) (string, error) {
	c, _, err := startCountersign(o.binary, data) // makes the folder and the keys
	if err != nil {
		return "", err
	}
	c.end()
	ctx := context.Background()
	db, err := sqlstore.OpenSQLite(ctx, filepath.Join(data, "countersign.db"), sqlstore.Options{})
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	master, err := keys.LoadMaster(filepath.Join(data, "master.key"), false)
	if err != nil {
		return "", err
	}
	deployment, err := db.Meta(ctx, "deployment_id")
	if err != nil {
		return "", err
	}
	ring, err := keys.Open(ctx, keys.Config{Store: db, Master: master, DeploymentID: deployment})
	if err != nil {
		return "", err
	}
	secret, hash := ring.NewClientSecret()
	now := time.Now().UTC().Truncate(time.Microsecond)
	for from := 0; from < count; from += perTime {
		err := db.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			for i := from; i < min(from+perTime, count); i++ {
				name := "s-" + strconv.Itoa(i)
				service := store.Service{UID: cs.NewRequestID(now), Name: name, Scopes: []string{"s2s:internal"},
					Audiences: []string{"parse-service"}, Revision: 1, CreatedAt: now, UpdatedAt: now}
				if err := tx.CreateService(ctx, service); err != nil {
					return err
				}
				if err := tx.PutClientSecret(ctx, store.ClientSecret{ID: "secret-" + name, ServiceUID: service.UID, Hash: hash, CreatedAt: now}); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return "", err
		}
	}
	return secret.Reveal(), nil
}

// touchAll lets every service get one token.
func touchAll(s subject) error {
	const connections = 64
	began := time.Now()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	var next atomic.Int64
	failed := make(chan error, connections)
	for range connections {
		go func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(s.services) {
					failed <- nil
					return
				}
				form := url.Values{"grant_type": {"client_credentials"}, "audience": {"parse-service"},
					"client_id": {"s-" + strconv.FormatInt(i, 10)}, "client_secret": {s.secret}}
				response, err := client.PostForm(s.url, form)
				if err != nil {
					failed <- err
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK {
					failed <- fmt.Errorf("s-%d: %s", i, response.Status)
					return
				}
			}
		}()
	}
	var err error
	for range connections {
		err = errors.Join(err, <-failed)
	}
	row("a first token for each of them", fmt.Sprintf("%.0f s", time.Since(began).Seconds()), "")
	return err
}
