# Read by the step's own bash (BASH_ENV) before its first command, by none of its children: a bare
# command that this bash cannot find is the harness's fault, not the product's.
command_not_found_handle() {
  printf 'command-not-found\t%s\n' "$1" >>"${DOGFOOD_DATA_DIR%/data}/notes"
  printf '%s: command not found\n' "$1" >&2
  return 127
}
unset BASH_ENV
