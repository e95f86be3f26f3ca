# SPDX-License-Identifier: Apache-2.0
# Two commands do everything on a fresh Debian 12 with a Swift 6.3 toolchain and root rights: make demo, make test.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PREFIX ?= /usr
STAGE := .build/stage
# The programs of a node as they are installed: without symbols. `pharos run` looks for pharosd beside itself.
STRIPPED := .build/stripped
# What `install-built` installs: these, or those with symbols for a package that keeps them apart.
PROGRAMS ?= $(STRIPPED)
UNITDIR ?= $(PREFIX)/lib/systemd/system
DEB := .build/deb
BUILD_PACKAGES := libpq-dev libcurl4-openssl-dev libsystemd-dev libmicrohttpd-dev libgnutls28-dev libyaml-dev pkg-config binutils gcc
# The keyring of this version is the first that knows Debian 13, which half of the lab's nodes run.
TEST_PACKAGES := python3 python3-venv systemd-container debootstrap 'debian-archive-keyring>=2023.3+deb12u2' nftables iproute2 curl \
	etcd-server etcd-client postgresql-15 openssl dnsmasq-base prometheus prometheus-alertmanager python3-prometheus-client
BENCH_PACKAGES := vip-manager
DEB_PACKAGES := debhelper dpkg-dev lintian
PAGE_PACKAGES := python3-selenium chromium chromium-driver
# What shows the manual pages, and the shells that take the completions.
READER_PACKAGES := man-db groff zsh fish
QEMU_PACKAGES := qemu-system-x86 busybox-static cpio kmod
# No folder beside the program is searched for libraries: there are none.
RELEASE := swift build -c release --static-swift-stdlib --disable-local-rpath

help: ## Show what there is.
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 16

.build/packages-build: Makefile
	@scripts/install-packages $(BUILD_PACKAGES)
	@mkdir -p .build && touch $@

.build/packages-test: Makefile
	@scripts/install-packages $(BUILD_PACKAGES) $(TEST_PACKAGES) $(READER_PACKAGES)
	@mkdir -p .build && touch $@

.build/packages-bench: .build/packages-test
	@scripts/install-packages $(BENCH_PACKAGES)
	@mkdir -p .build && touch $@

.build/packages-deb: .build/packages-build
	@scripts/install-packages $(DEB_PACKAGES)
	@mkdir -p .build && touch $@

.build/packages-page:
	@scripts/install-packages $(PAGE_PACKAGES)
	@mkdir -p .build && touch $@

.build/packages-qemu: .build/packages-test
	@scripts/install-packages $(QEMU_PACKAGES)
	@mkdir -p .build && touch $@

# The only C++ library in its folder, so that the linker takes it instead of the shared one: see Package.swift.
.build/lean/libstdc++.a:
	@mkdir -p .build/lean
	ln -sf "$$(gcc -print-file-name=libstdc++.a)" $@

build: .build/packages-build .build/lean/libstdc++.a ## Build the daemon, the command and the API, with Swift's runtime linked in.
	$(RELEASE) --product pharosd
	$(RELEASE) --product pharos
	$(RELEASE) --product pharos-api
	@mkdir -p $(STRIPPED)
	strip -o $(STRIPPED)/pharosd "$$($(RELEASE) --show-bin-path)/pharosd"
	strip -o $(STRIPPED)/pharos "$$($(RELEASE) --show-bin-path)/pharos"
	strip -o $(STRIPPED)/pharos-api "$$($(RELEASE) --show-bin-path)/pharos-api"

build-lab: .build/packages-test
	$(RELEASE) --product pharos-lab

install: build ## Install on this node; DESTDIR and PREFIX as usual.
	@$(MAKE) --no-print-directory install-built

# The one list of what belongs on a node, for the stage and for the package. The command writes the manual pages and the shells' completions.
install-built:
	install -D -m 0755 $(PROGRAMS)/pharosd $(DESTDIR)$(PREFIX)/sbin/pharosd
	install -D -m 0755 $(PROGRAMS)/pharos $(DESTDIR)$(PREFIX)/bin/pharos
	install -D -m 0755 $(PROGRAMS)/pharos-api $(DESTDIR)$(PREFIX)/sbin/pharos-api
	install -D -m 0644 systemd/pharos-api.service $(DESTDIR)$(UNITDIR)/pharos-api.service
	sed -f systemd/api-instance.sed systemd/pharos-api.service >$(DESTDIR)$(UNITDIR)/pharos-api@.service
	chmod 0644 $(DESTDIR)$(UNITDIR)/pharos-api@.service
	install -D -m 0644 docs/pharos-api.8 $(DESTDIR)$(PREFIX)/share/man/man8/pharos-api.8
	install -D -m 0644 systemd/pharos.service $(DESTDIR)$(UNITDIR)/pharos.service
	install -D -m 0644 systemd/pharos-again.service $(DESTDIR)$(UNITDIR)/pharos-again.service
	sed -f systemd/instance.sed systemd/pharos.service >$(DESTDIR)$(UNITDIR)/pharos@.service
	sed -f systemd/instance.sed systemd/pharos-again.service >$(DESTDIR)$(UNITDIR)/pharos-again@.service
	chmod 0644 $(DESTDIR)$(UNITDIR)/pharos@.service $(DESTDIR)$(UNITDIR)/pharos-again@.service
	install -D -m 0644 systemd/pharos.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/pharos.conf
	install -D -m 0644 systemd/pharos.sysctl $(DESTDIR)$(PREFIX)/lib/sysctl.d/60-pharos.conf
	install -D -m 0644 systemd/pharos.catalog $(DESTDIR)$(PREFIX)/lib/systemd/catalog/pharos.catalog
	install -d -m 0755 $(addprefix $(DESTDIR)$(PREFIX)/share/man/,man5 man8)
	install -m 0644 docs/pharos.8 docs/pharosd.8 $(DESTDIR)$(PREFIX)/share/man/man8/
	$(PROGRAMS)/pharos write-manual $(DESTDIR)$(PREFIX)/share/man --configuration config/pharos.yml
	install -d -m 0755 $(addprefix $(DESTDIR)$(PREFIX)/share/,bash-completion/completions zsh/vendor-completions fish/vendor_completions.d)
	$(PROGRAMS)/pharos --generate-completion-script bash | sed '1{/^#!/d}' >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/pharos
	$(PROGRAMS)/pharos --generate-completion-script zsh >$(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_pharos
	$(PROGRAMS)/pharos --generate-completion-script fish >$(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/pharos.fish
	install -d -m 0755 $(addprefix $(DESTDIR)$(PREFIX)/share/doc/pharos/,docs/decisions docs/benchmarks examples)
	install -m 0644 README.md CHANGELOG.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/pharos/
	install -m 0644 config/*.yml $(DESTDIR)$(PREFIX)/share/doc/pharos/examples/
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/pharos/examples/prometheus config/prometheus/*.yml
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/doc/pharos/examples/grafana config/grafana/*.json
	install -m 0644 docs/*.md docs/openapi.json docs/page.png $(DESTDIR)$(PREFIX)/share/doc/pharos/docs/
	install -m 0644 docs/decisions/*.md $(DESTDIR)$(PREFIX)/share/doc/pharos/docs/decisions/
	install -m 0644 docs/benchmarks/* $(DESTDIR)$(PREFIX)/share/doc/pharos/docs/benchmarks/
	install -D -m 0644 -t $(DESTDIR)$(PREFIX)/share/pharos/page Sources/page/*
	install -d -m 0755 $(DESTDIR)/etc/pharos

stage: build
	rm -rf $(STAGE)
	@$(MAKE) --no-print-directory install-built DESTDIR=$(STAGE)

deb: .build/packages-deb build ## Make the Debian package, for Debian 12 and 13, in .build/deb; DEB_VERSION to choose its version.
	scripts/deb "$$($(RELEASE) --show-bin-path)" $(DEB) $(DEB_VERSION)

demo: stage build-lab ## A real cluster: switchover, failover, a frozen daemon, and a timeline of each.
	"$$($(RELEASE) --show-bin-path)/pharos-lab" demo --install $(STAGE)

demo-down: build-lab ## Take the demo's cluster down.
	"$$($(RELEASE) --show-bin-path)/pharos-lab" down

test: .build/packages-test .build/packages-deb stage ## Unit, simulation, integration (real etcd, PostgreSQL) and lab tests (real nodes).
	scripts/test

test-long: .build/packages-qemu stage ## Hours: real daemons and a real etcd, frozen, cut and restored at random (FOR=2h, SEED=N), an older version beside; then test-qemu.
	scripts/test-long

test-patroni: .build/packages-test stage build-lab ## Scenes of the lab on Patroni 4.1 from PyPI, which `make test` does not play (SCENES='LabTests\+Restore').
	scripts/test-patroni

test-qemu: .build/packages-qemu ## VLAN, bond, VRF and ipvlan, which this kernel may lack, on Debian's kernel in QEMU.
	swift build --build-tests
	scripts/test-qemu

test-page: .build/packages-page ## The web page in a headless Chromium; SHOTS=FOLDER keeps pictures of it.
	PHAROS_PAGE_SHOTS=$(SHOTS) /usr/bin/python3 Tests/Page/test_page.py

play-page: .build/packages-page stage build-lab ## The page on a real cluster, through a switchover that is confirmed on it; SHOTS=FOLDER gets the pictures.
	/usr/bin/python3 Tests/Page/play_lab.py "$$($(RELEASE) --show-bin-path)/pharos-lab" $(STAGE) $(or $(SHOTS),.build/page-shots)

build-bench: .build/packages-test build
	$(RELEASE) --product pharos-bench

bench: .build/packages-bench build-bench build-lab stage ## Measure everything, or PARTS="citus idle", and write docs/benchmarks/; best on an idle machine.
	"$$($(RELEASE) --show-bin-path)/pharos-bench" all --programs $(STRIPPED) $(addprefix --part ,$(PARTS))

bench-check: build-bench ## Compare what does not depend on the machine's speed with Benchmarks/thresholds.json.
	"$$($(RELEASE) --show-bin-path)/pharos-bench" idle --check --programs $(STRIPPED)
	"$$($(RELEASE) --show-bin-path)/pharos-bench" unreachable --seconds 20 --check --programs $(STRIPPED)

simulate: .build/packages-build ## The real core in SEEDS simulated clusters.
	$(RELEASE) --product pharos-simulate
	"$$($(RELEASE) --show-bin-path)/pharos-simulate" --seeds $(or $(SEEDS),1000)

mutants: .build/packages-test ## Every small fault in the decisions that the rules make: does a test or the simulator find it? Writes docs/mutants.md.
	scripts/mutants --all

mutants-sample: .build/packages-test ## Ten of them, in turn by the day.
	scripts/mutants --sample 10

docs: .build/packages-build ## Make docs/detector.md from the detector's tables, and the tables of architecture.md, records.md and audit.md, and openapi.json.
	$(RELEASE) --product pharos-simulate
	"$$($(RELEASE) --show-bin-path)/pharos-simulate" detector --write docs/detector.md
	PHAROS_WRITE_TABLES=1 swift test --filter 'LimitsTests|CatalogTests|AuditDocumentTests|OpenAPITests'

format: ## Format every source file.
	swift format -i -r --configuration .swift-format Package.swift Sources Tests

lint: ## What CI checks before it builds.
	scripts/lint

.PHONY: help build build-lab install install-built stage deb demo demo-down test test-long test-patroni test-qemu test-page play-page simulate mutants mutants-sample docs format lint build-bench bench bench-check
