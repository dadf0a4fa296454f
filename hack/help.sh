#!/usr/bin/env bash
# List the verbs of a Makefile from its own texts: `##@ group`, `verb: … ## text`, `## VARIABLE=… text`.
set -euo pipefail

main() {
  local makefile=$1 bold='' green='' plain=''
  if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
    bold=$'\e[1m' green=$'\e[32m' plain=$'\e[0m'
  fi
  echo "Usage: make VERB [VARIABLE=value …]"
  awk -v bold="$bold" -v green="$green" -v plain="$plain" '
    /^##@ / { printf "\n%s%s%s\n", bold, substr($0, 5), plain }
    /^[a-z-]+:.* ## / {
      name = $0; sub(/:.*/, "", name)
      text = $0; sub(/^.* ## /, "", text)
      printf "  %s%-29s%s%s\n", green, name, plain, text
    }
    /^## / {
      split(substr($0, 4), part, /  +/)
      text = substr($0, 4 + length(part[1])); sub(/^ +/, "", text)
      printf "    %-27s%s\n", part[1], text
    }
  ' "$makefile"
}

main "$@"
