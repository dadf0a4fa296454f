# The verbs of the Makefile, for those who type `just`: `just dogfood SHARDS=4` is `make dogfood SHARDS=4`.
# Each runs where it was called, so that relative paths are the caller's.

set positional-arguments
set shell := ['bash', '-euc']

make := 'make --no-print-directory -C ' + quote(justfile_directory())

# List the verbs and their variables
[no-cd]
@help *variables:
    {{ make }} help "$@"

# Plan, run and judge the corpus; runs land in the caller's .dogfood/
[no-cd]
@dogfood *variables:
    {{ make }} dogfood "$@"

# Look on at a run that goes on elsewhere, until it is over; reads only
[no-cd]
@watch *variables:
    {{ make }} watch "$@"

# Print the plan, a shard a line
[no-cd]
@plan *variables:
    {{ make }} plan "$@"

# Check a corpus and list all that is wrong with it
[no-cd]
@check *variables:
    {{ make }} check "$@"

# Draw capabilities and chains
[no-cd]
@graph *variables:
    {{ make }} graph "$@"

# Say why a journey has its chain, its shard and its last verdict
[no-cd]
@explain *variables:
    {{ make }} explain "$@"

# Show how the last runs went: rates, durations, signal to noise, flaky journeys
[no-cd]
@trend *variables:
    {{ make }} trend "$@"

# Show what changed from one run to another
[no-cd]
@compare *variables:
    {{ make }} compare "$@"

# Group what did not pass in a run by its cause, with what reviewers decided
[no-cd]
@triage *variables:
    {{ make }} triage "$@"

# Write a commented corpus to start from
[no-cd]
@new-journeys *variables:
    {{ make }} new-journeys "$@"

# Install the products that a corpus needs and this machine lacks (apt, as root)
[no-cd]
@products *variables:
    {{ make }} products "$@"

# Start the agents of a project that are not up, and their watchdog
[no-cd]
@agents-up *variables:
    {{ make }} agents-up "$@"

# End the agents of a project
[no-cd]
@agents-down *variables:
    {{ make }} agents-down "$@"

# Print the phase of a project and how its agents are
[no-cd]
@agents-status *variables:
    {{ make }} agents-status "$@"

# Show a builder and an adversary come up, move on, be healed and go, in 20 seconds; spends nothing
[no-cd]
@agents-demo *variables:
    {{ make }} agents-demo "$@"

# Hold an agent's `exec --json` to its contract, on a fake API; runs land in the caller's .dogfood/
[no-cd]
@harness-smoke *variables:
    {{ make }} harness-smoke "$@"

# Make .venv with all tools; the other verbs do so where it is due
[no-cd]
@setup *variables:
    {{ make }} setup "$@"

# Run lint and all tests
[no-cd]
@test *variables:
    {{ make }} test "$@"

# Run the tests of the Python modules
[no-cd]
@test-python *variables:
    {{ make }} test-python "$@"

# Run the tests of the scripts and of this Makefile
[no-cd]
@test-bats *variables:
    {{ make }} test-bats "$@"

# Check style, types, scripts, workflows and corpora
[no-cd]
@lint *variables:
    {{ make }} lint "$@"

# Write Python and shell in the house style
[no-cd]
@format *variables:
    {{ make }} format "$@"

# Run a thousand cases of known truth and print the confusion matrix
[no-cd]
@trust *variables:
    {{ make }} trust "$@"

# Mutate the deciding modules and print what the tests let live
[no-cd]
@mutate *variables:
    {{ make }} mutate "$@"

# Measure speed beside the peers, installed into .venv-bench
[no-cd]
@bench *variables:
    {{ make }} bench "$@"

# Make the pictures of the README again
[no-cd]
@pictures *variables:
    {{ make }} pictures "$@"

# Remove caches; .venv and the runs in .dogfood/ stay
[no-cd]
@clean *variables:
    {{ make }} clean "$@"
