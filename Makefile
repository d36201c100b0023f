# stemd: `make demo` edits a clip, `make test` tests everything. Both install what they need on Debian 12 with Swift 6.

# What stemd is built on; the README says what each is for.
PACKAGES = gcc pkg-config libdnnl-dev libopenblas-openmp-dev libavformat-dev libavcodec-dev libavutil-dev libswresample-dev libswscale-dev \
	libzmq3-dev libsystemd-dev libsqlite3-dev libssl-dev libseccomp-dev libutf8proc-dev libopencv-video-dev libstdc++-12-dev
# What the tests need besides: they make videos as others do.
TEST_PACKAGES = ffmpeg
# What the proofs need besides; pyzmq may also have come from elsewhere.
PROOF_PACKAGES = python3 strace ffmpeg $(shell $(PYTHON) -c 'import zmq' 2>/dev/null || echo python3-zmq)
PYTHON = python3

# What `make bench` compares stemd with goes into this folder: 11 GB, most of it a model of full size.
BENCH_FOLDER = .build/bench
# From whatever index pip is configured with. PyTorch's own builds for processors alone end in +cpu.
TORCH = torch==2.13.0+cpu
BENCH_PACKAGES = python3 $(shell $(PYTHON) -c 'import ensurepip' 2>/dev/null || echo python3-venv)

# What `make test-reference` needs goes into this folder: PyTorch, and at most 13 GB of models of full size at a time.
REFERENCE_FOLDER = .build/reference
REFERENCE_PYTHON = $(REFERENCE_FOLDER)/venv/bin/python

# What `make test-report` needs goes into this folder.
REPORT_FOLDER = .build/report

# What `make model` makes goes into this folder: 3 GB, most of it PyTorch and rendered pictures.
MODEL_FOLDER = .build/model
# PyTorch's large arrays come and go at every step: kept, and in large pages, a step of the autoencoder takes 6 % less time.
RECIPE = exec env PYTHONPATH=Models/tiny-world \
	GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=2147483647:glibc.malloc.trim_threshold=8589934592 \
	$(MODEL_FOLDER)/venv/bin/python -B -m recipe

SUDO = $(shell [ "$$(id -u)" = 0 ] || echo sudo)
# One configuration for programs and tests, so that neither builds the other's modules anew.
SWIFT_FLAGS = --configuration release -Xswiftc -enable-testing

# What is installed runs where no Swift is: the runtime is in the programs, and they stay away from the tests' modules.
PACKAGE_BUILD = .build/package
PACKAGE_FLAGS = --configuration release --static-swift-stdlib --disable-local-rpath \
	--scratch-path $(PACKAGE_BUILD)
PACKAGED = $(addprefix $(PACKAGE_BUILD)/release/,stemd stem-worker stemctl)
DEB_PACKAGES = dpkg-dev
# What boots a Debian to install it on.
SYSTEMD_PACKAGES = python3 debootstrap systemd-container

# Where `make install` puts things: below DESTDIR, which is not part of their paths later, and PREFIX.
DESTDIR =
PREFIX = /usr/local
# Debian's own packages have another one.
ZSH_COMPLETIONS = $(PREFIX)/share/zsh/site-functions

# Programs that prove what the service promises; each also takes options: make chaos OPTIONS='--kills 500 --seed 7'
# shared_weights also takes a model of full size, such as that of `make bench`: OPTIONS='--model $(BENCH_FOLDER)/model'
PROOFS = chaos load latency hostile workers durability curve shared_weights corpus

.PHONY: all build deps proof-deps demo test test-systemd proofs $(PROOFS) full-disk test-reference test-report bench quality model model-evaluate model-clips \
	model-check format clean programs install uninstall deb

all: build

# Installs only what is missing, so that it needs neither root nor network where all is there.
define install
	@missing=$$(for package in $(1); do \
		dpkg-query --show --showformat='$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed || echo $$package; done); \
	if [ -n "$$missing" ]; then \
		echo "installing" $$missing; \
		$(SUDO) apt-get update --quiet=2 && \
		$(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends $$missing; \
	fi
endef

deps:
	$(call install,$(PACKAGES))

proof-deps:
	$(call install,$(PROOF_PACKAGES))

build: deps
	swift build $(SWIFT_FLAGS)

# The programs for `install`, which builds them itself only where they are missing: it often runs as root.
programs: deps
	Scripts/build-programs $(PACKAGE_BUILD) $(PACKAGE_FLAGS)

$(PACKAGED):
	$(MAKE) programs

install: $(PACKAGED)
	PREFIX=$(PREFIX) ZSH_COMPLETIONS=$(ZSH_COMPLETIONS) Scripts/install-files '$(DESTDIR)' $(PACKAGE_BUILD)

# What the installation wrote; the configuration and the spool stay.
uninstall:
	PREFIX=$(PREFIX) ZSH_COMPLETIONS=$(ZSH_COMPLETIONS) Scripts/install-files --uninstall '$(DESTDIR)' $(PACKAGE_BUILD)

# A Debian package for the release that it is built on: .build/package/stemd_VERSION_ARCHITECTURE.deb
deb: programs
	$(call install,$(DEB_PACKAGES))
	Scripts/build-deb $(PACKAGE_BUILD)

demo: build
	Scripts/demo .build/release

test: deps
	$(call install,$(TEST_PACKAGES))
	swift build $(SWIFT_FLAGS) --build-tests
	OMP_WAIT_POLICY=passive swift test $(SWIFT_FLAGS) --skip-build

# Compares the tokenizer with transformers', LoRAs with diffusers', and models of Stable Diffusion's full size, in every form that people have them in, with what
# diffusers and PyTorch compute; the better part of an hour: make test-reference OPTIONS='--kinds sd1 --forms file-f16 --no-large'
test-reference: deps $(REFERENCE_FOLDER)/venv/installed
	swift build $(SWIFT_FLAGS) --build-tests
	$(REFERENCE_PYTHON) Tests/References/tokenizer_reference.py $(REFERENCE_FOLDER)/prompts.jsonl
	$(REFERENCE_PYTHON) Tests/References/lora_reference.py $(REFERENCE_FOLDER)/loras
	STEMD_TOKENIZER_REFERENCE=$(abspath $(REFERENCE_FOLDER))/prompts.jsonl STEMD_LORA_REFERENCE=$(abspath $(REFERENCE_FOLDER))/loras \
		swift test $(SWIFT_FLAGS) --skip-build --filter 'TokenizerReferenceTests|LoRAReferenceTests'
	$(REFERENCE_PYTHON) Tests/References/variants_reference.py $(REFERENCE_FOLDER)/models $(OPTIONS)

$(REFERENCE_FOLDER)/venv/installed: Tests/References/requirements.txt
	$(call install,$(BENCH_PACKAGES))
	$(PYTHON) -m venv $(REFERENCE_FOLDER)/venv
	$(REFERENCE_FOLDER)/venv/bin/pip install --quiet '$(TORCH)' --requirement Tests/References/requirements.txt
	touch $@

# Opens reports of an edit and of a failed job in a headless Chromium, and looks at everything there.
test-report: build $(REPORT_FOLDER)/venv/installed
	$(call install,chromium)
	Tests/Report/write_reports .build/release $(REPORT_FOLDER)
	$(REPORT_FOLDER)/venv/bin/python Tests/Report/report_in_chromium.py --screenshots $(REPORT_FOLDER)/screenshots \
		$(REPORT_FOLDER)/reports/*/report.html $(OPTIONS)

$(REPORT_FOLDER)/venv/installed: Tests/Report/requirements.txt
	$(call install,$(BENCH_PACKAGES))
	$(PYTHON) -m venv $(REPORT_FOLDER)/venv
	$(REPORT_FOLDER)/venv/bin/pip install --quiet --requirement Tests/Report/requirements.txt
	touch $@

# Installs the package on a Debian 12 that it boots in a container, and checks it there. Needs root; some minutes.
test-systemd: deb
	$(call install,$(SYSTEMD_PACKAGES))
	swift build $(PACKAGE_FLAGS) --product confinement-probe
	$(SUDO) $(PYTHON) Tests/Systemd/test_systemd.py $(PACKAGE_BUILD)/*.deb $(PACKAGE_BUILD)/release/confinement-probe $(OPTIONS)

$(PROOFS): build proof-deps
	$(PYTHON) Tests/Proofs/$@.py $(OPTIONS)

# Needs root, to mount a small disk.
full-disk: build proof-deps
	$(SUDO) $(PYTHON) Tests/Proofs/durability.py --full-disk $(OPTIONS)

# All of them, in a form that takes minutes; every one runs, whatever becomes of the others.
proofs: build proof-deps
	@broken=; \
	for proof in "chaos --kills 30 --jobs 14" load "latency --pairs 10" "hostile --messages 20000" "workers --seconds 15" durability curve \
		"shared_weights --starts 5" corpus; do \
		set -- $$proof; proof=$$1; shift; \
		$(PYTHON) Tests/Proofs/$$proof.py "$$@" || broken="$$broken $$proof"; \
	done; \
	if [ -n "$$broken" ]; then echo "broken:$$broken" >&2; exit 1; fi

# Compares the engine's speed and errors with PyTorch's and OpenVINO's: make bench OPTIONS=--quick
bench: build $(BENCH_FOLDER)/venv/installed $(BENCH_FOLDER)/model/model_index.json
	$(BENCH_FOLDER)/venv/bin/python Benchmarks/bench.py --folder $(BENCH_FOLDER) $(OPTIONS)

# Compares the inversions and the methods of editing on the sample clips: make quality OPTIONS='--methods tokenflow'
quality: build $(BENCH_FOLDER)/venv/installed
	$(BENCH_FOLDER)/venv/bin/python Benchmarks/quality.py $(OPTIONS)

$(BENCH_FOLDER)/venv/installed: Benchmarks/requirements.txt
	$(call install,$(BENCH_PACKAGES))
	$(PYTHON) -m venv $(BENCH_FOLDER)/venv
	$(BENCH_FOLDER)/venv/bin/pip install --quiet '$(TORCH)' --requirement Benchmarks/requirements.txt
	touch $@

$(BENCH_FOLDER)/model/model_index.json: Benchmarks/write_model.py | $(BENCH_FOLDER)/venv/installed
	rm -rf $(BENCH_FOLDER)/model
	$(BENCH_FOLDER)/venv/bin/python Benchmarks/write_model.py $(BENCH_FOLDER)/model

# Makes the model of Models/tiny-world from nothing: $(MODEL_FOLDER)/tiny-world. About two hours on two cores; the same command goes on
# where it was interrupted: make model OPTIONS='--seed 1'
model: $(MODEL_FOLDER)/venv/installed
	$(RECIPE) all --folder $(MODEL_FOLDER) $(OPTIONS)

# How good it is; another one with OPTIONS='--model Models/tiny-world'. Half an hour with
# OPTIONS='--count 128 --wording-count 12'.
model-evaluate: $(MODEL_FOLDER)/venv/installed
	$(RECIPE) evaluate --folder $(MODEL_FOLDER) $(OPTIONS)

# Clips to edit, with the truth: make model-clips OPTIONS='--clips 48 --output clips'
model-clips: $(MODEL_FOLDER)/venv/installed
	$(RECIPE) clips --folder $(MODEL_FOLDER) $(OPTIONS)

# Checks the recipe itself: a minute or two.
model-check: build $(MODEL_FOLDER)/venv/installed
	$(RECIPE) check --folder $(MODEL_FOLDER) $(OPTIONS)

$(MODEL_FOLDER)/venv/installed: Models/tiny-world/recipe/requirements.txt
	$(call install,$(BENCH_PACKAGES))
	$(PYTHON) -m venv $(MODEL_FOLDER)/venv
	$(MODEL_FOLDER)/venv/bin/pip install --quiet '$(TORCH)' --requirement Models/tiny-world/recipe/requirements.txt
	touch $@

# Layout by `swift format` with its defaults.
format:
	swift format --in-place --recursive Sources Tests Benchmarks Package.swift

clean:
	test ! -e .build/systemd || $(SUDO) rm -rf .build/systemd
	rm -rf .build demo
