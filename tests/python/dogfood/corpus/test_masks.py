"""What hides a failure, held against what the real bash does."""

import subprocess
from pathlib import Path

import pytest

from hack.dogfood.corpus import masks

PRODUCT_FAILS = 'product() { return 3; }\n'
PRODUCT_WORKS = 'product() { return 0; }\n'
# More than a pipe holds, so that the writer cannot be done before its reader is gone.
PRODUCT_TALKS = 'product() { seq 1 1000000; }\n'


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts may write where they run."""
    monkeypatch.chdir(tmp_path)


def status(setting: str, script: str) -> int:
    command = ['bash', '-eo', 'pipefail', '-c', setting + script]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode


CANNOT_FAIL = [
    ('product || true', '|| true'),
    ('product || :', '|| :'),
    ('product && product || echo "never mind"', '|| echo'),
    ('product 2>&1 | cat || exit 0', '|| exit'),
    ('product arg \\\n  || true  # it may be gone', '|| true'),
    ('product "|| false" || true', '|| true'),
    ('set +e\nproduct\ntrue', 'set +e'),
    ('product || true\nproduct || echo gone', '|| true'),
    ('echo start; product || true', '|| true'),
]
IN_THE_BACKGROUND = ['product & sleep 0', 'product & wait', 'product &\necho started', 'product || true & wait']


@pytest.mark.parametrize(('script', 'hider'), CANNOT_FAIL)
def test_a_step_that_cannot_fail(script: str, hider: str) -> None:
    assert masks.warnings(script, decisive=False, by_exit_alone=True) == [
        f'this step cannot fail: {hider!r} hides every failure (remove it, or expect some output or a file)'
    ]
    assert masks.warnings(script, decisive=False, by_exit_alone=False) == []
    assert status(PRODUCT_FAILS, script) == 0


@pytest.mark.parametrize('script', IN_THE_BACKGROUND)
def test_a_decisive_step_whose_product_is_not_waited_for(script: str) -> None:
    assert len(masks.warnings(script, decisive=True, by_exit_alone=True)) == 1
    assert masks.warnings(script, decisive=False, by_exit_alone=True) == []  # who starts a daemon uses it later
    assert status(PRODUCT_FAILS, script) == 0


@pytest.mark.parametrize(
    ('script', 'what'),
    [
        ('true', 'true'),
        ('echo fine', 'echo'),
        ('product || true', '|| true'),
        ('product & wait', '&'),
        ('set +e; product; true', 'set +e'),
    ],
)
def test_a_probe_that_cannot_fail(script: str, what: str) -> None:
    assert masks.always_passes(script) == what
    assert status(PRODUCT_FAILS, script) == 0


@pytest.mark.parametrize(
    'script', ['product', 'product; true', 'product & wait $!', 'echo start; product', 'true && product']
)
def test_a_probe_that_can(script: str) -> None:
    assert masks.always_passes(script) is None
    assert status(PRODUCT_FAILS, script) == 3


@pytest.mark.parametrize(
    ('script', 'first'),
    [
        ('product && true\ntrue', 'product'),
        ('cd . && product --all && true; true', 'cd .'),
        ('product | cat && true\ntrue', 'product'),
    ],
)
def test_a_list_of_which_only_the_end_is_heeded(script: str, first: str) -> None:
    (said,) = masks.warnings(script, decisive=True, by_exit_alone=False)
    assert said.startswith(f'`{first}` fails no step')
    assert status(PRODUCT_FAILS, script) == 0


@pytest.mark.parametrize('script', ['export A=$(product)\ntrue', 'readonly A="it is $(product)"'])
def test_a_declaration_that_hides_what_is_in_it(script: str) -> None:
    (said,) = masks.warnings(script, decisive=False, by_exit_alone=False)
    assert 'exits 0 whatever the command in it does' in said
    assert status(PRODUCT_FAILS, script) == 0


@pytest.mark.parametrize(
    'script',
    [
        'A=$(product)\nexport A',
        'A=$(product) true; product',
        'export A=1; B=$(product)',
        'export A=$((1 + 1)); product',
    ],
)
def test_a_declaration_that_does_not(script: str) -> None:
    assert masks.warnings(script, decisive=False, by_exit_alone=False) == []
    assert status(PRODUCT_FAILS, script) == 3


@pytest.mark.parametrize(
    'script',
    [
        'true\nproduct && true',
        'test -e no-such-file && product\ntrue',
        '[ -e no-such-file ] && product; true',
        'product --ask | grep -c x && true; true',
        'product && true || exit 3\ntrue',
        'echo start && product | cat\ntrue',
        'product & true && product\ntrue',
    ],
)
def test_a_list_that_asks_or_is_heeded(script: str) -> None:
    assert [said for said in masks.warnings(script, decisive=False, by_exit_alone=False) if '`&&`' in said] == []


@pytest.mark.parametrize(
    'script',
    [
        'product',
        'product; exit 0',
        'product; true',
        'product\necho done',
        'product | cat',
        'product | tee log >/dev/null',
        'echo start && product',
        'product && echo done',
        'product; product || true',
        'product "|| true"',
        "product '|| true'",
        'product \\|\\| true',
        'product # || true',
        'echo done; product',
        'if product; then true; else exit 3; fi',
        'test -e here || product',
        'value=$(product || exit 3)\ntrue',
        'product <<END\n|| true\nEND',
        'product || { echo gone; exit 3; }',
        '(product; true)',
        'true || true; product',
        'sleep 0 & product',
        'product & wait $!',
    ],
)
def test_a_step_that_can_fail_is_not_warned_of(script: str) -> None:
    assert masks.warnings(script, decisive=False, by_exit_alone=True) == []
    assert masks.warnings(script, decisive=True, by_exit_alone=True) == []
    assert status(PRODUCT_FAILS, script) == 3


@pytest.mark.parametrize(
    ('script', 'word'),
    [
        ('true', 'true'),
        (' :', ':'),
        ('echo hello; printf done', 'printf'),
        ('sleep 0\ntrue', 'true'),
        ('echo "$(product)"', 'echo'),
    ],
)
def test_a_decisive_step_that_always_exits_0(script: str, word: str) -> None:
    assert masks.warnings(script, decisive=True, by_exit_alone=True) == [
        f'the step is decisive but expects only an exit status, and that of {word!r} is always 0 '
        '(run the product, or expect some output or a file)'
    ]
    assert masks.warnings(script, decisive=False, by_exit_alone=True) == []
    assert masks.warnings(script, decisive=True, by_exit_alone=False) == []
    assert status(PRODUCT_FAILS, script) == 0


@pytest.mark.parametrize('script', ['echo x >no/such/folder', 'true && product', 'truelike() { return 3; }; truelike'])
def test_a_decisive_step_that_may_exit_otherwise(script: str) -> None:
    assert masks.warnings(script, decisive=True, by_exit_alone=True) == []
    assert status(PRODUCT_FAILS, script) != 0


@pytest.mark.parametrize(
    ('script', 'reader'),
    [
        ('product | head', 'head'),
        ('product | head -n 3 | cat', 'head -n 3'),
        ('product |\n  head -c 10', 'head -c 10'),
        ('product |& grep -q 7', 'grep -q 7'),
        ('product 2>&1 | grep -Fq 7', 'grep -Fq 7'),
        ('product | grep -F --quiet 7', 'grep -F --quiet 7'),
        ('product | grep -m 1 7', 'grep -m 1 7'),
        ('product | sort | head -1', 'head -1'),
    ],
)
def test_a_reader_that_stops_early(script: str, reader: str) -> None:
    (warning,) = masks.warnings(script, decisive=True, by_exit_alone=False)
    assert warning.startswith(f'`{reader}` may stop reading before the writer is done, which then dies of SIGPIPE')
    assert status(PRODUCT_TALKS, script) == 141


@pytest.mark.parametrize(
    'script',
    [
        'product | head -n -3',
        'product | head --lines=-3',
        'product | grep -c 7',
        'product | grep 7 >/dev/null',
        'product | grep -e -q -e 7 >/dev/null',
        "product | grep '7\\| -q'",
        'product | tail -n 1',
        "product | sed -n '1p'",
        'echo "$PATH" | grep -q /',
        'printf "a\\nb\\n" | head -n 1',
        'set +o pipefail\nproduct | head -n 1',
        'product | head -n 1 || true',
        'product >/dev/null; echo "a | head"',
        'header() { cat; }; product | header',
    ],
)
def test_a_reader_that_does_not(script: str) -> None:
    assert masks.warnings(script, decisive=True, by_exit_alone=False) == []
    assert status(PRODUCT_TALKS, script) == 0


@pytest.mark.parametrize('script', ['! product\necho next', 'true; ! product | cat; true'])
def test_a_negation_that_fails_no_step(script: str) -> None:
    (warning,) = masks.warnings(script, decisive=False, by_exit_alone=False)
    assert warning.startswith('`! product` is not the last command, so that it fails no step')
    assert status(PRODUCT_WORKS, script) == 0


@pytest.mark.parametrize(
    'script', ['true\n! product', '! product || exit 1', '! product && true', '! [[ a || b ]]\n! true']
)
def test_a_negation_that_does(script: str) -> None:
    assert masks.warnings(script, decisive=False, by_exit_alone=False) == []
    assert status(PRODUCT_WORKS, script) == 1


@pytest.mark.parametrize(
    ('script', 'ending'),
    [
        ('product || true', '|| true'),
        ('product || :', '|| :'),
        ('product || echo failed >&2', '|| echo'),
        ('product; true', '; true'),
        ('product ; :\n', '; :'),
        ('cd there; product; echo it worked', '; echo'),
        ('product &', '&'),
        ('product\nproduct || true', '|| true'),
        ('product; exit 0', None),
        ('product\ntrue', None),
        ('product & wait $!', None),
        ('product || exit 1', None),
        ('product && true', None),
        ('product >out 2>&1', None),
        ('product; echo "$x" >file', None),
        ('product "a; true"', None),
        ('true', None),
        ('', None),
    ],
)
def test_endings_after_which_a_status_says_nothing(script: str, ending: str | None) -> None:
    assert masks.hidden_by(script) == ending


def test_a_long_script_is_read_in_no_time() -> None:
    assert len(masks.warnings('! a | head\n' * 20_000 + 'b', decisive=False, by_exit_alone=False)) == 40_000
    assert masks.warnings('"' * 99_999 + '(' * 99_999 + '|', decisive=False, by_exit_alone=False) == []
