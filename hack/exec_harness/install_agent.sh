#!/usr/bin/env bash
# Install one version of the Codex CLI from the npm registry: hack/exec_harness/install_agent.sh [VERSION [FOLDER]].
#
# Prints the path of its binary, and installs nothing where that is there already. FOLDER is .tools/codex-VERSION of
# this checkout by default. It appears whole or not at all: it is made beside its place, tried, and moved there.
set -euo pipefail

readonly default_version=0.99.0

die() {
  printf 'install_agent: %s\n' "$1" >&2
  exit 2
}

# The native binary, whose place differs between versions; the package's own entry is a script that needs node.
native() {
  local folder=$1 machine found
  machine=$(uname -m)
  found=$(find "$folder/node_modules" -type f -path "*/vendor/$machine-unknown-linux-*" -name codex -perm -u+x -print -quit)
  [[ -n $found ]] && printf '%s\n' "${found#"$folder/"}"
}

# npm knows its registry from the user's configuration. No script of a package runs; no file of this checkout changes.
install() {
  local version=$1 folder=$2 said
  npm install --prefix "$folder" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --loglevel=error \
    "@openai/codex@$version" || return
  ln -s "$(native "$folder")" "$folder/codex" || return
  said=$(env -i HOME="$folder/home" "$folder/codex" --version) || return # which writes to its home
  rm -rf -- "${folder:?}/home"
  [[ $said == *" $version" ]] || { echo "its binary says that it is $said" && return 1; }
}

# Of all that npm says, the line that says what is wrong.
why() {
  local output=$1
  grep -Ev '^npm error (code|syscall|errno) ' <<<"$output" | sed -E 's/^npm error ([a-z]+ )?//' | head -n 1
}

main() {
  local version=${1:-$default_version} here folder output
  here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
  folder=${2:-$here/.tools/codex-$version}
  [[ $version =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || die "$version: is no version (like $default_version)"
  if [[ ! -x $folder/codex ]]; then
    command -v npm >/dev/null || die "npm: is not installed, and Codex $version comes from its registry \
(apt-get install npm, or name a binary: AGENT_BIN=/path/to/codex)"
    mkdir -p "$(dirname "$folder")" 2>/dev/null || die "$(dirname "$folder"): cannot be made"
    exec 9>"$folder.lock" # two at once: the second waits, and finds the first one's; freed when this process ends
    python3 -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
  fi
  if [[ ! -x $folder/codex ]]; then
    rm -rf -- "$folder".?????? # what one that was killed left; the lock is ours
    beside=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf -- "$beside"' EXIT
    output=$(install "$version" "$beside" 2>&1 9>&-) || die "Codex $version: cannot be installed: \
$(why "$output") (look at npm's configuration, or name a binary: AGENT_BIN=/path/to/codex)"
    chmod 755 "$beside"
    rm -rf -- "$folder"
    mv -T -- "$beside" "$folder"
    printf 'install_agent: installed Codex %s in %s s\n' "$version" "$SECONDS" >&2
  fi
  printf '%s\n' "$folder/codex"
}

main "$@"
