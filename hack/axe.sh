#!/usr/bin/env bash
# Install axe-core, which finds what keeps people from using a page, from the npm registry, and print its path.
#
# It goes to .tools/axe-core-VERSION of this checkout, whole or not at all; the tests of the page skip by name without it.
set -euo pipefail

readonly version=4.14.1

main() {
  local root folder beside
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
  folder=$root/.tools/axe-core-$version
  if [[ ! -f $folder/axe.min.js ]]; then
    if ! command -v npm >/dev/null; then
      echo 'axe: npm is not installed, and axe-core comes from its registry (apt-get install npm)' >&2
      return 2
    fi
    mkdir -p "$root/.tools"
    beside=$(mktemp -d "$folder.XXXXXX")
    # shellcheck disable=SC2064  # the name as it is now
    trap "rm -rf -- '$beside'" EXIT
    npm install --prefix "$beside" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error \
      "axe-core@$version" >&2
    chmod 755 "$beside/node_modules/axe-core"
    rm -rf -- "$folder"
    mv -T -- "$beside/node_modules/axe-core" "$folder" || [[ -f $folder/axe.min.js ]] # another one was faster
  fi
  printf '%s\n' "$folder/axe.min.js"
}

main "$@"
