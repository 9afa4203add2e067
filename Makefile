# make test        everything the project promises, checked (installs what it needs)
# make test-quick  the inner loop: unit and black-box tests, no installs
# make lint        formatting, vet, golangci-lint, the layers
# make fuzz        every fuzz target, FUZZTIME each
# make faults      outages, partitions, kills and clocks; prints figures (some minutes)
# make bench       the table of speed and memory, as ratios in one run
# make soak        the S3 gateway under a mixed load while its origin dies: SOAK="-requests 20000"
# make build       ./countersign, a release build
SHELL       := /bin/bash
GO          ?= go
FUZZTIME    ?= 3s
TOOLS       := $(CURDIR)/.tools
export PATH := $(TOOLS)/bin:$(PATH)
# Release builds need no C compiler; the race detector does: the targets say which.
export CGO_ENABLED ?= 0

.PHONY: test test-quick lint fuzz faults bench soak build tools race clients

test: tools
	$(MAKE) --no-print-directory lint
	$(MAKE) --no-print-directory build
	$(MAKE) --no-print-directory race
	$(MAKE) --no-print-directory clients
	$(MAKE) --no-print-directory fuzz
	@echo "make test: all passed"

# The packages that apt and npm have, and the pinned linter, each checked first.
tools:
	scripts/install-tools.sh $(TOOLS)

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o countersign ./cmd/countersign

race:
	COUNTERSIGN_TEST_TOOLS=installed CGO_ENABLED=1 $(GO) test -race -count=1 -timeout 20m ./...

test-quick:
	$(GO) test -short -timeout 5m ./...

lint:
	@unformatted="$$(gofmt -l $$(git ls-files '*.go'))"; test -z "$$unformatted" || { echo "not formatted: $$unformatted"; exit 1; }
	$(GO) vet ./...
	golangci-lint run ./...
	$(GO) test -count=1 -run 'TestArchitecture|TestDocumentation' .

# Foreign clients against the real server: curl, authlib, x/oauth2, go-oidc, AWS's own; and
# emulators of AWS and of an identity provider that the real program talks to.
clients: build
	$(GO) vet -tags clients ./test/foreign/... ./test/clients/... ./test/emulators/... ./test/origins/...
	$(GO) test -count=1 -timeout 25m -tags clients ./test/clients/... ./test/emulators/... ./test/origins/...

fuzz:
	scripts/fuzz.sh $(FUZZTIME)

# Three replicas on a PostgreSQL that goes away, is cut off, slow or killed, and so are they.
# SEED=N replays a random run.
SEED   ?= 0
OUTAGE ?= 60s
faults:
	COUNTERSIGN_TEST_OUTAGE=$(OUTAGE) $(GO) test -v -count=1 -timeout 30m ./test/replicas -full -seed $(SEED) $(if $(OPERATIONS),-operations $(OPERATIONS))

bench: build
	scripts/bench.sh

# Ends with an error if a byte was wrong or something leaked. Not part of `make test`.
soak: build
	@test -x .tools/bin/versitygw || scripts/install-tools.sh $(TOOLS)
	$(GO) run ./test/soak $(SOAK)
