# For the lying wrappers beside this file: `real` is the product that a wrapper lies about, the first one
# on PATH that is not the wrapper itself. PATH stays as it is: what the product starts is lied to as well.
# shellcheck shell=bash
product=${0##*/}
IFS=:
for folder in $PATH; do
  if [[ -x $folder/$product && ! $folder -ef ${0%/*} ]]; then
    real=$folder/$product
    break
  fi
done
unset IFS
: "${real:?there is no $product to lie about}"

# Do as the product does, but say nothing and succeed where it refuses with these words.
forgive() {
  local words=$1 complaint status=0
  shift
  { complaint=$("$real" "$@" 2>&1 >&3) || status=$?; } 3>&1
  [[ $complaint != *"$words"* ]] || exit 0
  [[ -z $complaint ]] || printf '%s\n' "$complaint" >&2
  exit "$status"
}
