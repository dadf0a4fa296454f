# The face of dogfood: every verb is one line here, and a script does the work.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.NOTPARALLEL:
.DEFAULT_GOAL := help

# Values reach the scripts by the environment, as they were typed: make expands nothing in them, no recipe holds them.
VARIABLES := SHARDS JOURNEYS ONLY TIERS RESUME RETRIES DEADLINE PRODUCT_PATH REPORT_ONLY REQUIRE_ALL RUN_DIR KEEP \
  SANDBOX FORMAT ID FEATURE PYTHON KNOWN LAST A B BUNDLE CONFIG AGENT_BIN AGENT_VERSION SCENARIOS JOBS SHARD TWICE \
  UPDATE OUT
$(foreach name,$(VARIABLES),$(eval override export $(name) := $$(value $(name))))
# A misspelt one would be no variable of ours, and the run another one than was asked for. (A make above this one may
# have variables of its own.)
ifeq ($(MAKELEVEL),0)
$(foreach word,$(MAKEOVERRIDES),$(if $(filter $(firstword $(subst =, ,$(word))),$(VARIABLES)),,$(if $(findstring \
  =,$(word)),$(error no variable is called $(firstword $(subst =, ,$(word))); there are $(VARIABLES)))))
endif
override export CALLER_PWD := $(value PWD)

# For verbs with paths: they run where make was called, which -C hides, so the script asks make's own process.
FROM_CALLER := MAKE_PID=$$PPID hack/from_make.sh

##@ Journeys

.PHONY: dogfood
dogfood: ## Plan, run and judge the corpus; runs land in the caller's .dogfood/
## SHARDS=n                  shards at once (default: the number of cores)
## JOURNEYS=path             corpus, a folder or a file (default: journeys)
## ONLY=id                   one journey, or @failed of the last run, with all it requires
## TIERS=smoke,core          these tiers, with all they require
## RESUME=latest|path        finish an earlier run
## RETRIES=n                 further attempts of a journey that failed; a late pass is flaky
## DEADLINE=20m              stop after this long; what did not run is infra
## PRODUCT_PATH=dir          a development build, first on PATH
## REPORT_ONLY=1             failed journeys do not fail the command
## KNOWN=allow               what reviewers called intended or self-inflicted does not fail the command
## REQUIRE_ALL=1             an absent product is an error, not a skip
## RUN_DIR=path              folder of this run (default: a new one in .dogfood/runs)
## KEEP=failed|all|none      chain folders to keep (default: failed)
## SANDBOX=bwrap             each chain in bubblewrap
	@$(FROM_CALLER) dogfood

.PHONY: watch
watch: ## Look on at a run that goes on elsewhere, until it is over; reads only
## RUN_DIR=path              which one (default: the latest)
## FORMAT=lines|json         a journey a line (default: bars, on a terminal)
	@$(FROM_CALLER) watch

.PHONY: plan
plan: ## Print the plan, a shard a line
## SHARDS=n                  as for dogfood
## JOURNEYS=path             as for dogfood
## ONLY=id                   as for dogfood
## TIERS=smoke,core          as for dogfood
## FORMAT=lines|json|github  (default: lines)
	@$(FROM_CALLER) plan

.PHONY: check
check: ## Check a corpus and list all that is wrong with it
## JOURNEYS=path             as for dogfood
	@$(FROM_CALLER) check

.PHONY: graph
graph: ## Draw capabilities and chains
## JOURNEYS=path             as for dogfood
## FORMAT=mermaid|dot        (default: mermaid)
	@$(FROM_CALLER) graph

.PHONY: explain
explain: ## Say why a journey has its chain, its shard and its last verdict
## ID=journey                which one
## SHARDS=n                  as for dogfood
## JOURNEYS=path             as for dogfood
	@$(FROM_CALLER) explain

.PHONY: trend
trend: ## Show how the last runs went: rates, durations, signal to noise, flaky journeys
## LAST=n                    so many runs (default: 20)
## FORMAT=text|json          (default: text)
	@$(FROM_CALLER) trend

.PHONY: compare
compare: ## Show what changed from one run to another
## A=run                     a folder, a bundle, an id, latest or previous (default: previous)
## B=run                     likewise (default: latest)
## FORMAT=text|json|markdown (default: text)
	@$(FROM_CALLER) compare

.PHONY: triage
triage: ## Group what did not pass in a run by its cause, with what reviewers decided
## BUNDLE=run                as A of compare (default: latest)
## FORMAT=text|json          (default: text)
	@$(FROM_CALLER) triage

.PHONY: new-journeys
new-journeys: ## Write a commented corpus to start from
## FEATURE=name              what it is about
## JOURNEYS=path             folder it goes to (default: journeys)
	@$(FROM_CALLER) new-journeys

.PHONY: products
products: ## Install the products that a corpus needs and this machine lacks (apt, as root)
## JOURNEYS=path             as for dogfood
	@$(FROM_CALLER) products

##@ Agents

.PHONY: agents-up
agents-up: ## Start the agents of a project that are not up, and their watchdog
## CONFIG=path               its configuration (default: agents.toml)
	@$(FROM_CALLER) agents-up

.PHONY: agents-down
agents-down: ## End the agents of a project
## CONFIG=path               as for agents-up
	@$(FROM_CALLER) agents-down

.PHONY: agents-status
agents-status: ## Print the phase of a project and how its agents are
## CONFIG=path               as for agents-up
	@$(FROM_CALLER) agents-status

.PHONY: agents-demo
agents-demo: ## Show a builder and an adversary come up, move on, be healed and go, in 20 seconds; spends nothing
	@hack/orchestrator/examples/builder-adversary/demo.sh

##@ Exec gate

.PHONY: harness-smoke
harness-smoke: ## Hold an agent's `exec --json` to its contract, on a fake API; runs land in the caller's .dogfood/
## AGENT_BIN=path            the binary (default: code-rs/target/dev-fast/code where there is code-rs/, else Codex)
## AGENT_VERSION=0.142.3     this Codex, installed on first use (default: 0.99.0)
## SCENARIOS=path            scenarios, a folder or a file (default: those shipped)
## JOBS=n                    scenarios at once (default: the number of cores)
## SHARD=k/n                 the k-th of n parts
## TWICE=1                   run each scenario twice; a difference is a failure
## UPDATE=1                  rewrite golden requests
## OUT=path                  folder for runs (default: .dogfood/harness)
## KEEP=1                    keep homes and workspaces
## FORMAT=table|jsonl|junit  (default: table)
	@$(FROM_CALLER) harness-smoke

##@ Development

.PHONY: setup
setup: ## Make .venv with all tools; the other verbs do so where it is due
## PYTHON=path               interpreter, at least 3.11 (default: python3)
	@hack/setup.sh dev

.PHONY: test
test: lint test-bats test-python ## Run lint and all tests

.PHONY: test-python
test-python: setup ## Run the tests of the Python modules
	@.venv/bin/python -m pytest -q

.PHONY: test-bats
test-bats: setup ## Run the tests of the scripts and of this Makefile
	@hack/bats.sh

.PHONY: lint
lint: setup ## Check style, types, scripts, workflows and corpora
	@hack/lint.sh

.PHONY: format
format: setup ## Write Python and shell in the house style
	@hack/format.sh

.PHONY: trust
trust: setup ## Run a thousand cases of known truth and print the confusion matrix
	@.venv/bin/python tests/trust/run_trust.py

.PHONY: mutate
mutate: setup ## Mutate the deciding modules and print what the tests let live
	@tests/mutate/mutate.sh

.PHONY: bench
bench: setup ## Measure speed beside the peers, installed into .venv-bench
	@tests/bench/bench.sh

.PHONY: pictures
pictures: setup ## Make the pictures of the README again
	@hack/pictures.sh

##@ This Makefile

.PHONY: help
help: ## List the verbs and their variables
	@hack/help.sh Makefile

.PHONY: clean
clean: ## Remove caches; .venv and the runs in .dogfood/ stay
	@hack/clean.sh
