# Every step of CI is a target here. `make` builds, `make demo` shows the main job, `make test` proves it.

GO      ?= go
PREFIX  ?= /usr/local
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X main.version=$(VERSION)
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT   = golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
FUZZTIME ?= 20s
# Programs that tests talk to: the Debian packages that have them, and servers that Go builds. A test whose peer is not there is skipped.
PEERS    = nats-server influxd snmpsimd snmpd snmpget ipmitool ipmi-dcmi ipmi_sim
PEERDEBS = snmpsim snmpd snmp ipmitool freeipmi-tools openipmi
PEERBIN  = $(CURDIR)/.peers
INFLUXD  = github.com/influxdata/influxdb/cmd/influxd@v1.8.10

# A private and empty TMPDIR: cgo looks for headers there first, and a stray nvml.h breaks the build.
export TMPDIR := $(CURDIR)/.tmp
# go-nvml calls what its header calls deprecated; the warnings are not ours to act on.
export CGO_CFLAGS := -O2 -g -Wno-deprecated-declarations
export PATH := $(PEERBIN):$(PATH)

.PHONY: all build demo test test-faults test-real test-packages packages servers peers lint fuzz bench golden install clean tmp
all: build

tmp:
	@rm -rf .tmp && mkdir -p .tmp

build: tmp
	$(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./meterd ./runner

demo: build
	@rm -rf demo-run
	bin/runner demo -o demo-run

test: tmp servers
	$(GO) vet ./...
	$(GO) test -race -timeout 10m ./...
	@for p in $(PEERS); do command -v $$p >/dev/null || echo "SKIPPED: the tests against $$p, which is not installed (make peers)"; done

# .deb and .rpm of meterd and runner, in dist/. ARCHS=amd64 makes those of one architecture; see packaging/build.sh.
packages: tmp
	@rm -rf dist
	sh packaging/build.sh $(VERSION) dist

# Installs them for real, in a clean Debian with systemd that is booted in a container: needs root, debootstrap, systemd-container.
# ROOTFS names a clean Debian that is there already.
test-packages:
	$(MAKE) packages ARCHS=$$($(GO) env GOHOSTARCH)
	sh packaging/test.sh dist $(ROOTFS)

# What happens when links, hubs, disks and clocks fail, with real processes: ten simulated hours, fifty kills. FAULTS=short is shorter.
FAULTS ?= full
test-faults: tmp servers
	@METER_FAULTS=$(FAULTS) METER_REQUIRE=nats-server $(GO) test -run '^TestFault' -v -count 1 -timeout 20m ./meterd >.tmp/faults 2>&1; \
	  status=$$?; grep -v '^=== ' .tmp/faults; exit $$status

# The servers that tests run beside meterd: NATS in the version that is built in, and the last InfluxDB that Go alone builds.
servers: $(PEERBIN)/nats-server $(PEERBIN)/influxd
$(PEERBIN)/nats-server: go.mod | tmp
	$(GO) build -o $@ github.com/nats-io/nats-server/v2
$(PEERBIN)/influxd: | tmp
	GOBIN=$(PEERBIN) GOFLAGS=-mod=mod $(GO) install $(INFLUXD) || echo "SKIPPED: the tests against InfluxDB, which could not be built"

# A search against a real inference server with a tiny random model: llama.cpp's, of the sources that its Python bindings are published with.
# Needs pip, cmake and a C++ compiler, and builds for some ten minutes the first time.
LLAMA = llama_cpp_python-0.3.36
test-real: tmp $(PEERBIN)/llama-server
	AGENTWATT_LLAMA_SERVER=$(PEERBIN)/llama-server $(GO) test -run '^TestRealServer$$' -v -count 1 ./runner
$(PEERBIN)/llama-server: | tmp
	mkdir -p $(PEERBIN) .tmp/llama
	python3 -m pip download -q --no-deps --no-binary :all: -d .tmp/llama $$(echo $(LLAMA) | tr _ - | sed 's/-\([0-9.]*\)$$/==\1/')
	tar xzf .tmp/llama/$(LLAMA).tar.gz -C .tmp/llama
	cmake -S .tmp/llama/$(LLAMA)/vendor/llama.cpp -B .tmp/llama/build -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DLLAMA_OPENSSL=OFF \
	  -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_SERVER=ON -DLLAMA_BUILD_UI=OFF
	cmake --build .tmp/llama/build --target llama-server -j 2
	cp .tmp/llama/build/bin/llama-server $@

# Installs the Debian packages of PEERS, on Debian and Ubuntu.
peers:
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(PEERDEBS)

lint: tmp
	@files=$$(gofmt -l meterd runner shared); test -z "$$files" || { echo "gofmt would change:"; echo "$$files"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

fuzz: tmp
	@for d in $$(grep -rl --include='*_test.go' '^func Fuzz' meterd runner shared | xargs -n1 dirname | sort -u); do \
	  for f in $$(grep -h '^func Fuzz' $$d/*_test.go | sed 's/func \(Fuzz[A-Za-z0-9_]*\).*/\1/'); do \
	    echo "$$d $$f"; $(GO) test ./$$d -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x || exit 1; done; done

bench: tmp
	$(GO) test -run '^$$' -bench . -benchmem -count 6 ./... | tee bench.txt
	$(GO) run $(BENCHSTAT) bench.txt

golden: tmp
	$(GO) test $$(grep -rl --include='*_test.go' 'flag.Bool("update"' meterd runner shared | xargs -n1 dirname | sort -u | sed 's|^|./|') -run Golden -update

# Does not build: it is run as root, and Go is usually not there.
install:
	@test -x bin/meterd -a -x bin/runner || { echo "run make first"; exit 1; }
	install -D -m 755 bin/meterd $(DESTDIR)$(PREFIX)/bin/meterd
	install -D -m 755 bin/runner $(DESTDIR)$(PREFIX)/bin/runner

clean:
	rm -rf bin dist .peers .tmp demo-run bench.txt
