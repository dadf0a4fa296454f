# Defines which interpreter runs our scripts: the repository's own .venv if it is there, else python3.

dogfood_python() {
  local repository=$1
  if [[ -x "$repository/.venv/bin/python" ]]; then
    printf '%s\n' "$repository/.venv/bin/python"
  elif ! type -P python3; then
    printf 'python3: is not installed (apt-get install python3)\n' >&2
    return 2
  fi
}
