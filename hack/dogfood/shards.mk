# The fan-out: one job for each line of the plan, all at once. Run by dogfood.sh, which says where things are
# (DOGFOOD_SHARD, DOGFOOD_RUN_DIR) and how many lines there are (LINES).
#
# A recipe is one exec, so that a TERM to make reaches the shard itself. A shard that fails has said why, and its
# missing records are told by the report: the others go on.
SHELL := /bin/sh
.SUFFIXES:

jobs := $(shell i=0; while [ $$i -lt $(LINES) ]; do i=$$((i + 1)); echo $$i; done)

.PHONY: all
all: $(jobs)

.PHONY: $(jobs)
$(jobs):
	-@exec "$$DOGFOOD_SHARD" "$$DOGFOOD_RUN_DIR" $@
