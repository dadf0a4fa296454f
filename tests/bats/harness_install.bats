#!/usr/bin/env bats

load test_helper

setup() {
  away_from_home
  script=$repository/hack/exec_harness/install_agent.sh
  folder="$BATS_TEST_TMPDIR/it's \"here\"/codex-1.2.3"
  npm_stub 1.2.3
}

# What npm would fetch is only made up: a binary that says which version it is, where the real package has its own.
npm_stub() {
  export told=$1
  stub npm <<'END'
#!/usr/bin/env bash
printf '%s\n' "${*: -1}" >>"$calls"
while (($# > 1)); do
  [[ $1 != --prefix ]] || prefix=$2
  shift
done
vendor=$prefix/node_modules/@openai/codex-linux/vendor/$(uname -m)-unknown-linux-musl/bin
mkdir -p "$vendor"
printf '#!/bin/sh\necho codex-cli %s\n' "$told" >"$vendor/codex"
chmod +x "$vendor/codex"
sleep "${npm_takes:-0}"
END
}

@test "a version is installed once, whole, and its path told" {
  mkdir -p "$folder.abc123/left/by/one/that/was/killed"
  run -0 --separate-stderr "$script" 1.2.3 "$folder"
  assert_equal "$folder/codex" "$output"
  assert_equal $'codex-1.2.3\ncodex-1.2.3.lock' "$(ls "${folder%/*}")"
  [[ $stderr =~ ^'install_agent: installed Codex 1.2.3 in '[0-9]+' s'$ ]]
  assert_equal 'codex-cli 1.2.3' "$("$output" --version)"
  run -0 --separate-stderr "$script" 1.2.3 "$folder"
  assert_equal '' "$stderr"
  assert_equal '@openai/codex@1.2.3' "$(cat "$calls")"
}

@test "two at once install it once" {
  export npm_takes=1
  "$script" 1.2.3 "$folder" >"$BATS_TEST_TMPDIR/other" &
  run -0 --separate-stderr "$script" 1.2.3 "$folder"
  wait "$!"
  assert_equal "$folder/codex" "$output"
  assert_equal "$folder/codex" "$(cat "$BATS_TEST_TMPDIR/other")"
  assert_equal '@openai/codex@1.2.3' "$(cat "$calls")"
}

@test "what does not say that it is the version asked for is not left there" {
  npm_stub 1.2.4
  run -2 "$script" 1.2.3 "$folder"
  [[ $output == 'install_agent: Codex 1.2.3: cannot be installed: '* ]]
  assert_equal 1 "${#lines[@]}"
  assert_equal 'codex-1.2.3.lock' "$(ls "${folder%/*}")"
}

@test "what npm says is wrong is told in one line" {
  stub npm <<'END'
#!/usr/bin/env bash
printf 'npm error code E404\nnpm error notarget No matching version found.\nnpm error more\n' >&2
exit 1
END
  run -2 "$script" 9.9.9 "$folder"
  assert_equal "install_agent: Codex 9.9.9: cannot be installed: No matching version found. \
(look at npm's configuration, or name a binary: AGENT_BIN=/path/to/codex)" "$output"
}

@test "without npm, one line says what to do, and nothing is made" {
  mkdir "$BATS_TEST_TMPDIR/few"
  local name
  for name in bash dirname uname; do ln -s "$(command -v "$name")" "$BATS_TEST_TMPDIR/few/"; done
  PATH=$BATS_TEST_TMPDIR/few run -2 "$script" 1.2.3 "$folder"
  assert_equal "install_agent: npm: is not installed, and Codex 1.2.3 comes from its registry \
(apt-get install npm, or name a binary: AGENT_BIN=/path/to/codex)" "$output"
  [[ ! -e ${folder%/*} ]]
}

@test "what is no version, and a place that cannot be made, are one line each" {
  run -2 "$script" latest
  assert_equal 'install_agent: latest: is no version (like 0.99.0)' "$output"
  touch "$BATS_TEST_TMPDIR/file"
  run -2 "$script" 1.2.3 "$BATS_TEST_TMPDIR/file/below/codex"
  assert_equal "install_agent: $BATS_TEST_TMPDIR/file/below: cannot be made" "$output"
}
