#!/usr/bin/env bash
# Make a project: a git repository with this toolkit as the submodule `engine`, pinned to a commit.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
toolkit=$(cd "$here/../.." && pwd -P)

usage() {
  cat <<'END'
Usage: create-project.sh NAME [OPTION…]

  --dir FOLDER      where the project's folder goes (default: here)
  --engine-url URL  repository of the toolkit, a URL or a local path (default: the one this script lies in)
  --ref REF         tag or commit that the engine is pinned to (default: the commit this script lies in)
  --prefix PREFIX   first part of all its session names (default: NAME-)
  --register FLEET  enter the project in this fleet.toml, which is made where there is none
END
}

die() {
  printf '%s\n' "$1" >&2
  exit 2
}

# Git of the user's, but never one that a surrounding repository or hook has told where to work.
run_git() {
  env -u GIT_DIR -u GIT_WORK_TREE -u GIT_INDEX_FILE -u GIT_PREFIX git "$@"
}

parse() {
  name='' folder=. url='' ref='' prefix='' fleet=''
  while (($#)); do
    case $1 in
      -h | --help) usage && exit 0 ;;
      --dir | --engine-url | --ref | --prefix | --register)
        (($# > 1)) || die "create-project.sh: $1 needs a value (see --help)"
        assign "$1" "$2" && shift
        ;;
      --*=*) assign "${1%%=*}" "${1#*=}" ;;
      -*) die "create-project.sh: unknown option $1 (see --help)" ;;
      *)
        [[ -z $name ]] || die "create-project.sh: a second name, $1 (one project at a time)"
        name=$1
        ;;
    esac
    shift
  done
}

assign() {
  case $1 in
    --dir) folder=$2 ;;
    --engine-url) url=$2 ;;
    --ref) ref=$2 ;;
    --prefix) prefix=$2 ;;
    --register) fleet=$2 ;;
    *) die "create-project.sh: unknown option $1 (see --help)" ;;
  esac
}

check() {
  [[ -n $name ]] || die 'create-project.sh: which name? (create-project.sh NAME, see --help)'
  [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_-]*$ ]] || die "create-project.sh: the name '$name' is not made of letters, \
digits, - and _ (it becomes part of session names)"
  prefix=${prefix:-$name-}
  [[ $prefix =~ ^[A-Za-z0-9][A-Za-z0-9_-]*$ ]] || die "create-project.sh: the prefix '$prefix' is not made of letters, \
digits, - and _ (tmux would change it)"
  mkdir -p "$folder" 2>/dev/null || die "$folder: is not a folder that can be made (name another with --dir)"
  target=$(cd "$folder" && pwd -P)/$name
  [[ ! -e $target && ! -L $target ]] || die "$target: is there already (choose another name, or remove it)"
  if [[ -z $url ]]; then
    url=$toolkit
    ref=${ref:-$(run_git -C "$toolkit" rev-parse --verify HEAD 2>/dev/null)} ||
      die "$toolkit: is no git repository (say where the toolkit comes from with --engine-url and --ref)"
  fi
  [[ -n $ref ]] || die 'create-project.sh: which tag or commit of the engine? (--ref v1.2.3)'
  [[ ! -e $url ]] || url=$(cd "$url" && pwd -P)
}

# The commit that a tag or an abbreviated or full id stands for. A branch is refused: it moves.
pinned_commit() {
  local engine=$1 commit
  if commit=$(run_git -C "$engine" rev-parse --verify --quiet "refs/tags/$ref^{commit}"); then
    printf '%s' "$commit"
  elif [[ $ref =~ ^[0-9a-f]{7,64}$ ]]; then
    run_git -C "$engine" rev-parse --verify --quiet "$ref^{commit}" ||
      { run_git -C "$engine" fetch --quiet origin "$ref" 2>/dev/null && printf '%s' "$ref"; } ||
      die "$url: has no commit $ref (push it, or name another with --ref)"
  elif commit=$(run_git -C "$engine" rev-parse --verify --quiet "refs/remotes/origin/$ref^{commit}"); then
    die "$url: $ref is a branch, which moves (pin a tag, or the commit it is at: --ref $commit)"
  else
    die "$url: has no tag $ref (name a tag or a commit with --ref)"
  fi
}

add_engine() {
  local project=$1 commit
  # Only where a person named a path is git allowed to clone from one.
  local allowed=()
  [[ ! -e $url ]] || allowed=(-c protocol.file.allow=always)
  run_git "${allowed[@]}" -C "$project" submodule --quiet add --name engine -- "$url" engine >/dev/null 2>"$work/said" ||
    die "$url: cannot be cloned: $(tail -n 1 "$work/said") (check the URL)"
  commit=$(pinned_commit "$project/engine")
  run_git -C "$project/engine" checkout --quiet --detach "$commit"
}

# A commit needs an author: the user's where git knows one.
commit_all() {
  local project=$1 identity=()
  run_git -C "$project" var GIT_COMMITTER_IDENT >/dev/null 2>&1 && run_git -C "$project" config user.email >/dev/null ||
    [[ -n ${GIT_AUTHOR_EMAIL:-} ]] || identity=(-c user.name="$name" -c "user.email=$name@localhost")
  run_git -C "$project" add .gitignore .gitmodules agents.toml engine
  run_git "${identity[@]}" -C "$project" commit --quiet --no-verify --message "Start $name, with the engine at $ref"
}

main() {
  parse "$@"
  check
  work=$(mktemp -d "${target%/*}/.$name.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  local project=$work/project
  run_git init --quiet --initial-branch=main "$project"
  cp "$here/templates/project/gitignore" "$project/.gitignore"
  sed "s/@PREFIX@/$prefix/" "$here/templates/project/agents.toml" >"$project/agents.toml"
  add_engine "$project"
  commit_all "$project"
  # The name comes to be with all that belongs to it, or not at all.
  mv -T "$project" "$target" || die "$target: came to be meanwhile (choose another name)"
  if [[ -n $fleet ]] && ! register; then
    rm -rf "$target"
    exit 2
  fi
  printf '%s: made, engine at %s (%s)\n' "$target" "$ref" "$(run_git -C "$target/engine" rev-parse --short HEAD)"
  printf 'Next: cd %q && python3 engine/hack/orchestrator/run_agents.py up\n' "$target"
}

register() {
  python3 "$here/run_fleet.py" --fleet "$fleet" register "$name" --location "$target" --ref "$ref"
}

main "$@"
