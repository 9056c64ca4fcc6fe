# The commands people type. `make` alone lists them.
STACK ?= Pulumi.dev.yaml
NAME ?=

# With sudo, cache, PATH and the way to registries are those of the person who typed it; so is what needs no root.
ifneq ($(filter-out 0,$(SUDO_UID)),)
$(foreach variable,$(shell python3 -B -m sandbox.person),$(eval export $(variable)))
as_person := setpriv --reuid $(SUDO_UID) --regid $(SUDO_GID) --init-groups env --unset SUDO_UID
give_back = trap '$(PYTHON) -m sandbox.cache' EXIT &&
endif
# Some distributions call theirs by its version alone where `python3` is older.
ifndef PYTHON
PYTHON := $(or $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$each"; break; }; done),python3)
endif

cache := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/mig-k8s
export MYPY_CACHE_DIR := $(cache)/mypy
export RUFF_CACHE_DIR := $(cache)/ruff
export HYPOTHESIS_STORAGE_DIRECTORY := $(cache)/hypothesis
# Run as root, Python would leave folders in the checkout that its owner cannot remove.
export PYTHONPYCACHEPREFIX := $(cache)/pycache
unexport PYTHONDONTWRITEBYTECODE
export LOCATION ADMIN_CIDRS SSH_KEY

# A module, in the virtual environment of these requirements, made at the first use.
run = $(give_back) venv=$$($(PYTHON) -m sandbox.virtualenv) && PATH="$$venv/bin:$$PATH" "$$venv/bin/python" -m
pytest = $(run) pytest -o cache_dir=$(cache)/pytest
# These tests make and remove ten thousand small files. In memory that is a fifth of the time, where programs may run there.
memory = $(shell test -w /dev/shm && grep -q '^tmpfs /dev/shm ' /proc/mounts && ! grep -q '^tmpfs /dev/shm [^ ]* [^ ]*noexec' /proc/mounts && echo /dev/shm)
quick_pytest = $(if $(memory),export TMPDIR=$(memory);) $(pytest) -o tmp_path_retention_policy=failed
tiers = format, lint, types, unit, machine, scripts, graph, contracts, exhaustive, engine
scripts = $(shell grep -rlE '^\#!/(usr/)?bin/(env )?(ba|da)?sh' cloud-init sandbox .ci .github --include='*' 2>/dev/null)

.PHONY: help setup preview sandbox verify sandbox-down sandbox-status sandbox-clean check lint quick-graph quick-plan quick-machine quick-stages exhaustive coverage mutation engine test examples try-host bench new-stack backup restore rotate-certificates recover recording timeline

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-19s %s\n", $$1, $$2}'
	@echo "  STACK=examples/single.yaml chooses another stack for preview and sandbox"

setup: ## the virtual environment, in ~/.cache/mig-k8s (the other commands do it by themselves)
	@$(PYTHON) -m sandbox.virtualenv

preview: ## the engine's preview of STACK; no root, no machine
	@$(run) sandbox preview "$(STACK)"

sandbox: ## bring STACK up on this machine, verify it, say how to look around; root; PROFILE=azure takes Azure's time
	@$(run) sandbox up "$(STACK)" $(if $(PROFILE),--profile "$(PROFILE)")

verify: ## the verification once more, changing nothing: of the sandbox, or NAME=prod; JUNIT=FILE writes XML
	@$(run) $(if $(NAME),scripts.verify "$(NAME)",sandbox verify) $(if $(JUNIT),--junit "$(JUNIT)")

sandbox-down: ## destroy the sandbox's stack and leave nothing but the cache
	@$(run) sandbox down

sandbox-status: ## what runs
	@$(run) sandbox status

sandbox-clean: ## sandbox-down for every sandbox there is, those of killed tests too
	@$(run) sandbox clean

check: ## format, lint, types, unit, machine, scripts, graph, contracts; no root
	@$(PYTHON) -m sandbox.virtualenv >/dev/null
	@$(MAKE) --no-print-directory --jobs 5 --output-sync=target quick-graph quick-plan quick-machine quick-stages lint

lint:
	@$(run) ruff format --check .
	@$(run) ruff check .
	@venv=$$($(PYTHON) -m sandbox.virtualenv) && "$$venv/bin/shellcheck" --external-sources $(scripts)
	@$(run) mypy

# Four parts of like length for two cores. Each is one process: a worker of pytest-xdist would collect all tests again.
quick-graph:
	@$(quick_pytest) -m "not exhaustive" tests/graph

quick-plan:
	@$(quick_pytest) -m "not exhaustive" tests/contracts tests/unit

quick-machine:
	@$(quick_pytest) -m "not exhaustive" tests/machine/test_[a-p]*.py tests/scripts

quick-stages:
	@$(quick_pytest) -m "not exhaustive" tests/machine/test_[q-z]*.py

# Three at once on two cores: for a third of its time a test waits for what it has started.
engine: ## the real Pulumi CLI against the stand-ins, NVIDIA's own clients against the GPU's; no machines, no root
	@$(run) sandbox build engine
	@$(pytest) -n 3 --dist loadfile --no-loadscope-reorder tests/engine

exhaustive: ## programs of the machine killed at every place, every history of layouts; no root
	@$(quick_pytest) -n 2 --dist worksteal -m exhaustive tests/machine tests/unit

coverage: ## which lines and branches of the program the quick tests leave out; no root
	@export COVERAGE_FILE=$(cache)/coverage; $(if $(memory),export TMPDIR=$(memory);) \
	$(run) coverage run -m pytest -o cache_dir=$(cache)/pytest -m "not exhaustive" tests/contracts tests/graph tests/machine tests/unit && \
	"$$venv/bin/python" -m coverage report

mutation: ## changes of a program's line that no test notices; MODULE=plan/gpu/nearest.py TESTS=… others than its own; no root
	@$(if $(memory),export TMPDIR=$(memory);) $(run) tests.mutation $(MODULE) $(TESTS)

test: ## everything there is, the sandbox included
	@$(if $(as_person),$(run) sandbox build engine)
	@$(as_person) $(MAKE) --no-print-directory check exhaustive engine
	@status=0; $(run) sandbox build machines || status=$$?; \
	case $$status in \
	0) $(pytest) -n 2 --dist loadfile --no-loadscope-reorder -m "not examples" tests/sandbox && echo "RAN, and passed: $(tiers), sandbox. Nothing was left out but what is SKIPPED above." ;; \
	3) line=$$(printf '%80s' | tr ' ' '*'); echo "RAN, and passed: $(tiers)."; \
	   printf '%s\n' "$$line" "LEFT OUT: sandbox. This machine cannot boot others, for the reason above." "$$line" ;; \
	*) exit $$status ;; \
	esac

examples: ## every file of examples/ brought up whole; a quarter of an hour; root
	@$(run) sandbox build machines
	@$(pytest) -n 2 --dist worksteal -m examples tests/sandbox/test_every_example.py

try-host: ## both commands on a stock Debian host in an emulator, SUITE=bookworm or trixie, GROUPS=v1 or v2; half an hour; root
	@$(run) tests.hosts.try_host $(if $(SUITE),--suite "$(SUITE)") --groups "$(or $(GROUPS),v2)"

bench: ## plan, preview, stacks of up to 1000 machines; as root, a machine's way from bare image to ready, an up of 1 to 8 machines with Azure's distances, changes of a cluster
	@$(run) tests.bench.plan_times
	@$(run) tests.bench.preview_times
	@$(run) tests.bench.size_times
	@$(run) tests.bench.machine_times
	@$(run) tests.bench.up_times
	@$(run) tests.bench.change_times

backup: ## NAME=prod: the living cluster's datastore into one encrypted file; FILE names it
	@$(run) scripts.backup "$(NAME)" $(if $(FILE),--file "$(FILE)")

restore: ## NAME=prod FILE=…: the cluster of a backup, on the stack's machines; says what it costs, CONFIRM=prod does it
	@$(run) scripts.restore "$(NAME)" "$(FILE)" --confirm "$(CONFIRM)" $(foreach server,$(WITHOUT),--without "$(server)") $(if $(TAKE_TOKEN),--take-token)

new-stack: ## NAME=prod: keys, a stack file and its encrypted secrets, with your own Pulumi
	@$(run) scripts.new_stack "$(NAME)"

rotate-certificates: ## new certificates of RKE2 on every machine: of the sandbox, or NAME=prod; pods go on
	@$(run) $(if $(NAME),scripts.rotate_certificates "$(NAME)",sandbox rotate-certificates)

timeline: ## what the last `up` took, drawn: of the sandbox, or NAME=prod; SVG=FILE writes a picture
	@$(run) $(if $(NAME),scripts.timeline "$(NAME)",sandbox timeline) $(if $(SVG),--svg "$(SVG)")

recording: ## docs/sandbox.svg anew: make sandbox in a sandbox of its own, recorded and drawn; root
	@$(run) scripts.recording record docs/sandbox.cast --title "sudo make sandbox" -- python -m sandbox --name recording up || \
		{ $(run) sandbox --name recording down; exit 1; }
	@$(run) sandbox --name recording down
	@$(run) scripts.recording draw docs/sandbox.cast docs/sandbox.svg

recover: ## end what an interrupted run left: of the sandbox, or NAME=prod; LOCK=HOST ends the lock of another host
	@$(run) $(if $(NAME),scripts.recover "$(NAME)" $(if $(LOCK),--lock "$(LOCK)"),sandbox recover)
