# The commands of a developer. `make help` lists them.

GO       ?= go
BINARY   := freeswitch-security
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS  := -s -w -X main.version=$(VERSION)
# A number of inputs, not a duration: until Go 1.27 the end of a duration is sometimes
# reported as a failure (go.dev/issue/75804).
FUZZTIME ?= 200000x
# Packages that are tested at once: twice as many as processors, because many tests wait.
PACKAGES ?= $(shell echo $$((2 * $$(nproc))))
# Packages have the version of the last tag v*, or 0.0.0, and the number of commits since. v1.0.0-rc1 is
# 1.0.0~rc1, which comes before 1.0.0.
PACKAGE_VERSION ?= $(shell git describe --tags --match 'v*' 2>/dev/null | sed -E 's/^v//; s/-([0-9]+)-(g[0-9a-f]+)$$/+\1.\2/; s/-/~/g' | grep . || \
	echo "0.0.0+$$(git rev-list --count HEAD 2>/dev/null).g$$(git rev-parse --short HEAD 2>/dev/null)")
ARCH     ?= $(shell $(GO) env GOARCH)
# At a version, not in go.mod: it would bring some hundred modules, which this project does not use.
NFPM     := $(GO) run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0
export CGO_ENABLED ?= 0
export RECORDINGS

.DEFAULT_GOAL := help
.PHONY: help build run fleet package replay score test test-kernel test-browser test-firewalls test-package figures compare soak race lint bench fuzz clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build ./freeswitch-security
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BINARY) ./cmd/freeswitch-security

package: export SOURCE_DATE_EPOCH = $(shell git log -1 --format=%ct)
package: ## build dist/*.deb and dist/*.rpm; ARCH="amd64 arm64" for several architectures
	rm -rf dist && mkdir -p dist/root/man
	GENERATED=$(CURDIR)/dist/root $(GO) test -vet=off -count=1 -run '^TestManPagesAndCompletions$$' ./cmd/freeswitch-security
	gzip -9n dist/root/man/*
	@set -ex; for arch in $(ARCH); do \
		GOARCH=$$arch $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o dist/root ./cmd/freeswitch-security; \
		for packager in deb rpm; do \
			ARCH=$$arch VERSION=$(PACKAGE_VERSION) \
				$(NFPM) package --config cmd/freeswitch-security/packaging/nfpm.yaml --packager $$packager --target dist/; \
		done; \
	done
	rm -rf dist/root

run: build ## run the daemon on a recorded attack; as root with a firewall in its own namespace
	$(GO) run ./examples/demo ./$(BINARY)

fleet: ## attack one of three guards that share bans through NATS, as root, each in its own namespace
	SLACK=1 $(GO) test -count=1 -tags kernel -v -run '^TestFleet' ./cmd/freeswitch-security/kernel

replay: build ## replay the same recording with the shipped rules
	./$(BINARY) replay --rules rules.d examples/recorded-attack/security.log.2.gz \
		examples/recorded-attack/security.log.1.gz examples/recorded-attack/security.log.gz

score: ## score the shipped rules on the recordings, or on RECORDINGS=/path
	$(GO) test -count=1 -run '^TestScore(Wire)?$$' -v ./cmd/freeswitch-security

# make lint runs vet: go test would run it again, for all packages of others as well.
test: ## run all tests that need only Go
	$(GO) test -vet=off -p $(PACKAGES) ./...

test-kernel: ## run the firewall tests, as root, in network namespaces
	$(GO) test -count=1 -timeout 20m -p 1 -tags kernel ./actions/iptables ./cmd/freeswitch-security/kernel

test-browser: ## use the page in Chromium, as root; AXE=/path/axe.min.js checks its accessibility, SCREENSHOTS=/dir keeps pictures
	@command -v chromium >/dev/null || { echo "chromium is missing: apt-get install chromium" >&2; exit 1; }
	$(GO) test -count=1 -timeout 5m -vet=off -tags 'kernel browser' -run '^TestBrowser$$' -v ./cmd/freeswitch-security/kernel

BESIDE ?= ^TestBeside|^TestGuidesAreWhatRuns$$
test-firewalls: ## run the guard beside ufw, firewalld, iptables-persistent and fail2ban from Debian's packages, as root, which are installed in layers of their own
	$(GO) test -count=1 -timeout 15m -vet=off -tags 'kernel firewalls' -run '$(BESIDE)' -v ./cmd/freeswitch-security/kernel

test-package: package ## install, upgrade and purge the packages in a booted Debian container, as root
	$(GO) test -count=1 -timeout 20m -vet=off -tags 'kernel package' -run '^TestPackage' -v ./cmd/freeswitch-security/kernel

figures: ## hold all figures to their limits, as root, on an idle machine; needs ripgrep and 5 GB in $TMPDIR
	@status=0; \
	SLACK=1 $(GO) test -count=1 -v -run '^TestFollowFigures$$' ./sources/logfile || status=1; \
	FIGURES=1 SLACK=1 $(GO) test -count=1 -timeout 40m -tags kernel -v -run 'Latency|ManyBans|Flood|Footprint|Restart|NewAttacker|Figure|WireLoad|Joiner' ./cmd/freeswitch-security/kernel || status=1; \
	exit $$status

compare: ## compare with fail2ban, where it is installed, as root: latency, 1,000 bans, replay
	COMPARE=1 SLACK=1 $(GO) test -count=1 -timeout 20m -tags kernel -v -run '^TestCompare$$' ./cmd/freeswitch-security/kernel

soak: ## run the long tests: a thousand damaged states, hundreds of rotations, of kills and of partitions, a million hostile datagrams, a rewritten firewall
	DAMAGES=1000 $(GO) test -count=1 -timeout 60m -run '^TestDamages$$' -v ./engine/ban
	SEQUENCES=100000 $(GO) test -count=1 -timeout 60m -run '^TestWindowsAgreeWithModel$$' -v ./engine/rule
	FLEET_ROUNDS=200 FLEET_BANS=100000 $(GO) test -count=1 -timeout 60m -run 'TestFleetAgreesWithModel|TestJoiner' -v ./engine/fleet
	FLEET_NODES=200 $(GO) test -count=1 -run '^TestManyNodes$$' -v ./engine/fleet
	LOGFILE_SOAK=1 $(GO) test -count=1 -timeout 60m -run TestSoak -v ./sources/logfile/tail
	DATAGRAMS=1000000 $(GO) test -count=1 -run '^TestHostile$$' -v ./sources/sip/hep
	REWRITES=60 $(GO) test -count=1 -timeout 60m -tags kernel -run TestRewritten -v ./cmd/freeswitch-security/kernel
	KILLS=200 $(GO) test -count=1 -timeout 60m -tags kernel -run TestKillNine -v ./cmd/freeswitch-security/kernel
	FLEET_KILLS=200 $(GO) test -count=1 -timeout 60m -tags kernel -run TestFleetChaos -v ./cmd/freeswitch-security/kernel

# Only packages in which a goroutine is started, also by a test: in the others nothing races. The tests left
# out are of one goroutine, or do what others do in the same goroutines or in other processes. They take
# the race detector minutes. TestGrow counts page faults, and the memory of the race detector has faults of its own.
NORACE := AttackEconomy|Grow|ForgersBeyondTheLimits|GuessesOfAPhonesAddress|OfficeWorksAllDay|AddressOfAThiefIsBannedForLonger|FraudNight|FraudNightCustomers|$\
	Steps|Sight|ADryRunCountsAsAGuardThatBans|Scripts|SpellingsOfTests|Spellings|Captures|AnySplit|ShippedRules|ShippedWire|ShippedCustomers|$\
	Damages|EvidenceIsBounded|CursorsOfKinds|DeepFilesAreHarmless|FollowCarried|Carried|Versions|DesiredAgreesWithModel|PlansConverge|SpoolAgreesWithQueue
race: ## run the tests with the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -vet=off -timeout 20m -p $(PACKAGES) -skip '^Test($(NORACE))$$' \
		$$(grep -rlE --include='*.go' '\bgo (func|[a-z][A-Za-z.]*\()|\.Go\(|\.Parallel\(|AfterFunc|synctest|httptest|esltest|fleettest' . | xargs -n1 dirname | sort -u)

lint: ## gofmt, go vet, staticcheck
	@test -z "$$(gofmt -l .)" || { echo "not formatted:"; gofmt -l .; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

bench: ## run the benchmarks; as root also those that compare a replay with rg
	$(GO) test -run '^$$' -bench . -benchmem ./...
	@if [ "$$(id -u)" = 0 ]; then $(GO) test -tags kernel -run '^$$' -bench . ./cmd/freeswitch-security/kernel; else echo "not root: the replay is not compared with rg"; fi

# Each package is built and linked once for all of its targets. -fuzz instruments also the packages of others.
INSTRUMENT ?= -fuzz=Fuzz
fuzz: ## fuzz every decoder of foreign bytes, FUZZTIME (default 200000x) each
	@set -e; binary=$$(mktemp); trap 'rm -f "$$binary"' EXIT; \
	for dir in $$(grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u); do \
		$(GO) test -c -vet=off $(INSTRUMENT) -o "$$binary" $$dir; \
		for target in $$(cd $$dir && "$$binary" -test.list '^Fuzz'); do \
			echo "== $$dir $$target"; \
			(cd $$dir && "$$binary" -test.run '^$$' -test.fuzz "^$$target\$$" -test.fuzztime $(FUZZTIME) -test.fuzzminimizetime 20x \
				-test.fuzzcachedir "$$($(GO) env GOCACHE)/fuzz/$$($(GO) list)"); \
		done; \
	done

clean: ## remove the binary and the packages
	rm -rf $(BINARY) dist
