#!/usr/bin/env bash
# Install what a corpus needs and this machine lacks: hack/products.sh [--corpus PATH] [PACKAGE…].
#
# Packages named are installed too. Without root or apt it prints the line to run, and ends with 2.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

is_installed() {
  [[ $(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

main() {
  local corpus=journeys needed packages=() package
  if [[ ${1:-} == --corpus ]]; then
    corpus=$2
    shift 2
  fi
  "$root/hack/setup.sh" run
  needed=$("$root/.venv/bin/python" "$root/hack/dogfood/run_journeys.py" needs --missing --format packages "$corpus")
  for package in $needed "$@"; do
    is_installed "$package" || packages+=("$package")
  done
  if ((${#packages[@]} == 0)); then
    echo 'products: all that is needed is here'
  elif ! command -v apt-get >/dev/null || [[ $(id -u) != 0 ]]; then
    echo "products: missing: ${packages[*]} (as root: apt-get install ${packages[*]})" >&2
    return 2
  else
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${packages[@]}" </dev/null
    echo "products: installed ${packages[*]}"
  fi
}

main "$@"
