# stemd: `make demo` edits a clip, `make test` tests everything. Both install what they need on Debian 12 with Swift 6.

# What stemd is built on; the README says what each is for.
PACKAGES = gcc pkg-config libdnnl-dev libopenblas-openmp-dev libavformat-dev libavcodec-dev libavutil-dev libswscale-dev \
	libzmq3-dev libsystemd-dev libsqlite3-dev libssl-dev

SUDO = $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# One configuration for programs and tests, so that neither builds the other's modules anew.
SWIFT_FLAGS = --configuration release -Xswiftc -enable-testing

.PHONY: all build deps demo test format clean

all: build

# Installs only what is missing, so that it needs neither root nor network where all is there.
deps:
	@missing=$$(for package in $(PACKAGES); do \
		dpkg-query --show --showformat='$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed || echo $$package; done); \
	if [ -n "$$missing" ]; then \
		echo "installing" $$missing; \
		$(SUDO) apt-get update --quiet=2 && \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends $$missing; \
	fi

build: deps
	swift build $(SWIFT_FLAGS)

demo: build
	Scripts/demo .build/release

test: deps
	swift build $(SWIFT_FLAGS) --build-tests
	OMP_WAIT_POLICY=passive swift test $(SWIFT_FLAGS) --skip-build

# Layout by `swift format` with its defaults.
format:
	swift format --in-place --recursive Sources Tests Package.swift

clean:
	rm -rf .build demo
