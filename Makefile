# What can be made here; `make` lists it. Needed: Go, git, make, bash. `make check` needs a C compiler for the race
# detector; bench, pprof, interop and deb-test install what they compare with, load with or check with, as root or through
# sudo.

SHELL         := /bin/bash
.SHELLFLAGS   := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

PROGRAM     := bin/traffic_management
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    := 60s
BENCHFLAGS  :=
OVER        := http

# $(call install,PROGRAM[=PACKAGE]...): the Debian packages, of the same name when none is given, of programs that are missing.
install = missing=(); for p in $(1); do command -v $${p%=*} >/dev/null || missing+=($${p\#*=}); done; \
	if (($${\#missing[@]})); then \
		root=(); if ((EUID)); then root=(sudo -n); fi; \
		"$${root[@]}" apt-get update -qq; \
		"$${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$${missing[@]}"; \
	fi

.PHONY: help build run test check lint race fuzz bench drill interop pprof profile deb deb-test clean

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# Without the C library the program runs on any Linux, whatever it was built on.
build: ## build bin/traffic_management
	CGO_ENABLED=0 go build -trimpath -ldflags "-X main.version=$(VERSION)" -o $(PROGRAM) ./cmd/traffic_management

run: build ## run the proxy with config/example.yaml in front of sample servers, until Ctrl-C
	@trap 'kill $$(jobs -rp) 2>/dev/null || true; wait' EXIT
	trap 'exit 0' INT TERM
	until_ready() {
		until "$$@" 2>/dev/null; do
			if (($$(jobs -rp | wc -l) < started)); then exit 1; fi
			sleep 0.1
		done
	}
	listens() (exec 3<>/dev/tcp/127.0.0.1/9003)
	answers() (
		exec 3<>/dev/tcp/127.0.0.1/8080
		printf 'GET / HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
		read -r -t 2 _ status _ <&3
		[[ $$status == 200 ]]
	)
	$(PROGRAM) demo & started=1
	until_ready listens
	$(PROGRAM) -c config/example.yaml & started=2
	until_ready answers
	printf '%s\n' '' 'It runs. In another terminal, try:' '' \
		'  curl http://localhost:8080/          answered by the service "hello", by one of its two servers' \
		'  curl http://localhost:8080/files/    answered by the service "files"' \
		'  curl http://localhost:9100/metrics   what the proxy counts' \
		'  http://localhost:9101/               in a browser: the state of everything' '' \
		'Each request leaves a line of the access log here. Ctrl-C ends it all.' ''
	wait -n

test: ## go vet and every test, with the checks of our own code compiled in
	go vet -tags invariants ./...
	go test -tags invariants ./...

check: lint race test ## what every change must pass: lint, race, test

lint: ## gofmt, go vet, staticcheck and the directions of imports
	@unformatted=$$(gofmt -l .)
	if [[ $$unformatted ]]; then
		printf 'not as gofmt has it:\n%s\n' "$$unformatted"
		exit 1
	fi
	set -x
	go vet ./...
	go -C perf/buffers vet ./...
	go -C perf/interop vet ./...
	go run $(STATICCHECK) -tags invariants ./...
	go test -count 1 .

race: ## every test under the race detector
	@if ! command -v $$(go env CC) >/dev/null; then
		echo 'the race detector needs a C compiler: apt-get install gcc libc6-dev'
		exit 1
	fi
	set -x
	go test -race ./...
	go -C perf/buffers test -race ./...

fuzz: ## every fuzzer in turn, for FUZZTIME=60s each
	@go list -f '{{.Dir}}' ./... | while read -r dir; do
		{ grep -ho '^func Fuzz[A-Za-z0-9_]*' "$$dir"/*_test.go 2>/dev/null || true; } | while read -r _ name; do
			echo "$$name in $$dir"
			go test -tags invariants -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x "$$dir" </dev/null
		done
	done

bench: ## measure against nginx and HAProxy into perf/RESULTS.md, about half an hour; BENCHFLAGS=-quick for a look
	go run ./perf/compare $(BENCHFLAGS)

drill: ## kill servers, change the configuration and replace the program under load, into perf/DRILLS.md
	go run ./perf/drill

interop: ## programs of others speak through the proxy: h2spec, gRPC, curl, nghttp, Node.js, Chromium
	@$(call install,curl nghttp=nghttp2-client node=nodejs chromium)
	go -C perf/interop test -count 1 -timeout 20m ./...

pprof: build ## profile the proxy under load into bin/cpu.pprof and its flame graph, bin/flame.html; OVER=https, h2 or mixed
	@$(call install,curl openssl wrk)
	go build -o bin/ ./perf/backend ./perf/load
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost \
		-keyout bin/pprof.key -out bin/pprof.pem 2>/dev/null
	cat >bin/pprof.yaml <<-'END'
	entrypoints: {web: {address: 127.0.0.1:9702}, secure: {address: 127.0.0.1:9705,
	tls: {cert_file: bin/pprof.pem, key_file: bin/pprof.key}}}
	services: {backend: {servers: [{url: http://127.0.0.1:9701}]}}
	routers: {all: {rule: PathPrefix(`/`), service: backend}}
	END
	case $(OVER) in
	http) load=(-url http://127.0.0.1:9702/128) ;;
	https) load=(-url https://127.0.0.1:9705/128) ;;
	h2) load=(-url https://127.0.0.1:9705/128 -conns 16 -streams 10) ;;
	mixed) ;;
	*) echo 'OVER is http, https, h2 or mixed'; exit 1 ;;
	esac
	trap 'kill $$(jobs -rp) 2>/dev/null || true; wait' EXIT
	bin/backend -listen 127.0.0.1:9701 &
	$(PROGRAM) -c bin/pprof.yaml --loops 1 --pprof 127.0.0.1:9703 &
	get() { curl --silent --show-error --fail --retry 50 --retry-connrefused --retry-delay 1 "$$@"; }
	get -o bin/pprof.out http://127.0.0.1:9702/128
	if [[ $(OVER) == mixed ]]; then
		wrk -t 1 -c 64 -d 14 -s perf/wrk/mixed.lua http://127.0.0.1:9702/ >/dev/null &
	else
		bin/load "$${load[@]}" -seconds 14 &
	fi
	get -o bin/cpu.pprof 'http://127.0.0.1:9703/debug/pprof/profile?seconds=10'
	wait %3
	go tool pprof -http 127.0.0.1:9704 -no_browser bin/cpu.pprof &
	get -o bin/flame.html http://127.0.0.1:9704/ui/flamegraph
	go tool pprof -top -nodecount 25 bin/cpu.pprof 2>/dev/null
	echo 'bin/flame.html is the flame graph. To explore: go tool pprof -http : bin/cpu.pprof'

profile: ## take the profile that guides the build, cmd/traffic_management/default.pgo, anew
	@for over in http mixed https h2; do
		$(MAKE) --no-print-directory pprof OVER=$$over
		mv bin/cpu.pprof bin/$$over.pprof
	done
	# Two thirds of the samples lie in system calls, which no compiler makes faster: what is hot beside them counts.
	go tool pprof -proto -ignore linux.Syscall6 bin/{http,mixed,https,h2}.pprof >cmd/traffic_management/default.pgo

deb: ## build bin/traffic-management_VERSION_ARCHITECTURE.deb
	@packaging/deb.sh $(VERSION)

deb-test: ## install, upgrade under requests and remove the package under a systemd of its own; as root, on Debian
	@$(call install,curl lintian shellcheck logrotate)
	packaging/test.sh

clean: ## remove what was built
	rm -rf bin
