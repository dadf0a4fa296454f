"""What a step gets and what it may not get, what is masked, and that nothing is written but where it belongs."""

import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.python.runs import HOUSE, Place, journey, need_commands

# -- the environment -----------------------------------------------------------------------------

HOSTILE: Mapping[str, str] = {
    'BASH_FUNC_evil%%': '() { echo evil; }',
    'BASH_ENV': '/dev/null',
    'CDPATH': '/:/tmp',
    'ENV': '/nonexistent',
    'GIT_DIR': '/nonexistent/.git',
    'GNUMAKEFLAGS': '-n',
    'LANG': 'tr_TR.UTF-8',
    'LC_ALL': 'C',
    'LINES': '1',
    'MAKEFILES': '/nonexistent/other.mk',
    'MAKEFLAGS': 'n',
    'MAKELEVEL': '3',
    'POSIXLY_CORRECT': '1',
    'PYTHONPATH': '/nonexistent',
    'PYTHONSAFEPATH': '1',
    'PYTHONUNBUFFERED': '1',
    'PYTHONWARNINGS': 'error',
    'SHELL': '/bin/false',
    'TERM': 'xterm-256color',
    'TZ': 'Asia/Tokyo',
    'XDG_RUNTIME_DIR': '/nonexistent',
    'DOGFOOD_DATA_DIR': '/nonexistent/data',
    'DOGFOOD_CAPABILITIES': '/nonexistent/capabilities',
    'SECRET_OF_THE_CALLER': 'must not be seen',
}


OF_THE_C_LIBRARY = 1 << 31 | 1 << 32  # two signals that nobody else can handle


def test_a_step_sees_exactly_the_allow_list(place: Place) -> None:
    first = place.run(
        journey('look', 'env -0 > @LEDGER@; { declare -F; alias; umask; wc -c; } > @LEDGER@.shell', env_pass=['TOKEN']),
        journey('kernel', 'grep "Sig[BI]" /proc/self/status > @LEDGER@.signals; ls /proc/self/fd > @LEDGER@.fds'),
        environment={**HOSTILE, 'TOKEN': 'passed-on'},
        before=('bash', '-c', 'umask 077; trap \'\' USR1 INT; exec 7</dev/null "$@"', '-'),
        env={'STORE': '${DOGFOOD_DATA_DIR}/store'},
        shards=1,
    )
    assert (first.exit, first.verdicts) == (0, {'look': 'passed', 'kernel': 'passed'}), first.err
    seen = dict(entry.split('=', 1) for entry in place.ledger.read_text().split('\0') if entry)
    chain = str(Path(seen['HOME']).parent)
    assert chain.startswith(f'{place.tmp}/')
    assert seen == {
        'PATH': f'{os.environ["PATH"]}:{HOUSE}/hack/dogfood/bin',
        'LANG': 'C.UTF-8',
        'TZ': 'UTC',
        'TERM': 'dumb',
        'HOME': f'{chain}/home',
        'TMPDIR': f'{chain}/tmp',
        'XDG_CONFIG_HOME': f'{chain}/home/.config',
        'XDG_CACHE_HOME': f'{chain}/home/.cache',
        'XDG_DATA_HOME': f'{chain}/home/.local/share',
        'XDG_STATE_HOME': f'{chain}/home/.local/state',
        'XDG_RUNTIME_DIR': f'{chain}/tmp',
        'GIT_CEILING_DIRECTORIES': chain,
        'GIT_CONFIG_NOSYSTEM': '1',
        'SHELL': shutil.which('bash'),
        'DOGFOOD_DATA_DIR': f'{chain}/data',
        'DOGFOOD_CHAIN': 'look',
        'DOGFOOD_SANDBOX_PREFIX': seen['DOGFOOD_SANDBOX_PREFIX'],
        'DOGFOOD_CAPABILITIES': f'{place.path}/run/capabilities',
        'STORE': f'{chain}/data/store',
        'TOKEN': 'passed-on',
        'PWD': f'{chain}/work/look',  # these three are bash's own
        'SHLVL': seen['SHLVL'],
        '_': seen['_'],
    }
    assert Path(f'{place.ledger}.shell').read_text().split() == [
        'declare',
        '-f',
        'command_not_found_handle',
        '0022',
        '0',
    ]
    signals = [int(mask, 16) for mask in re.findall(r'\t(\S+)', Path(f'{place.ledger}.signals').read_text())]
    assert [mask & ~OF_THE_C_LIBRARY for mask in signals] == [0, 0]  # blocked and ignored ones
    assert Path(f'{place.ledger}.fds').read_text().split() == ['0', '1', '2', '3']  # 3: the folder that ls lists


# -- secrets ---------------------------------------------------------------------------------------

PARTS = 12  # so many characters of a secret in a row are as good as the secret


def parts_of(secret: str) -> list[bytes]:
    return [secret[start : start + PARTS].encode() for start in range(len(secret) - PARTS + 1)]


def everything_of(place: Place) -> Iterator[tuple[str, bytes]]:
    for path in (*place.path.glob('*.out'), *place.path.glob('*.err'), *(place.path / 'run').rglob('*')):
        if path.is_file() and not path.is_symlink():
            yield str(path), path.read_bytes()


def test_what_is_passed_on_is_masked_everywhere(place: Place) -> None:
    """Written in two halves, where the record is cut, where the evidence is cut, by a journey that is not passed it."""
    secret, lines = secrets.token_hex(20), f'{secrets.token_hex(16)}\n{secrets.token_hex(16)}'
    shift = 'for n in $(seq 0 7 90); do head -c $((N - n)) /dev/zero | tr "\\0" .; printf "$TOKEN"; done; echo "$TOKEN"'
    passed_on: dict[str, Any] = {'env_pass': ['TOKEN', 'LINES_OF_IT']}
    done = place.run(
        journey('plain', 'echo "$TOKEN"; echo "$LINES_OF_IT" >&2; echo "$TOKEN" > $DOGFOOD_DATA_DIR/t', **passed_on)
        | {'establishes': 'token'},
        journey('halves', 'printf "${TOKEN:0:20}"; sleep 0.1; printf "${TOKEN:20}"', **passed_on),
        journey('cut-record', f'N=4096; {shift}', **passed_on),
        journey('cut-evidence', f'N=262144; {shift}; N=65536; {shift}', **passed_on),
        journey('expects', 'echo "$TOKEN"; false', expect={'stdout': {'equals': 'x'}}, **passed_on),
        journey('crashes', 'echo "panic: $TOKEN" >&2', **passed_on),
        journey('file', 'echo "$TOKEN" > f', expect={'files': {'f': {'equals': 'x'}}}, **passed_on),
        journey('says', 'dogfood-infra "cannot use $TOKEN"', **passed_on),
        journey('tears-down', 'true', **passed_on) | {'teardown': ['echo "$TOKEN" >&2; false']},
        journey('borrows', 'cat $DOGFOOD_DATA_DIR/t', requires='token', expect={'stdout': {'contains': 'x'}}),
        environment={'TOKEN': secret, 'LINES_OF_IT': lines},
    )
    assert done.verdicts['plain'] == 'passed'
    assert done.verdicts['borrows'] == 'failed'
    assert '[masked: TOKEN]' in done.journeys['plain']['steps'][0]['stdout']
    assert '[masked: LINES_OF_IT]' in done.journeys['plain']['steps'][0]['stderr']
    assert '[masked: TOKEN]' in done.journeys['halves']['steps'][0]['stdout']
    assert done.journeys['cut-evidence']['steps'][0]['cut_bytes'] > 0
    wanted = [*parts_of(secret), *(part for line in lines.splitlines() for part in parts_of(line))]
    leaks = [(path, part) for path, data in everything_of(place) for part in wanted if part in data]
    assert leaks == []


# -- where is written -------------------------------------------------------------------------------

WRITES = (
    'open,openat,openat2,creat,mkdir,mkdirat,rmdir,rename,renameat,renameat2,unlink,unlinkat,symlink,symlinkat,link,'
    'linkat,truncate,chmod,fchmodat,chown,fchownat,lchown,mknod,mknodat,utimensat,setxattr,lsetxattr'
)


class Call(NamedTuple):
    pid: int
    name: str
    text: str

    def paths(self) -> list[str]:
        """What the call names, from the root: `AT_FDCWD</folder>, "name"` and the like put together."""
        named = re.findall(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"((?:[^"\\]|\\.)*)"', self.text)
        named = named[1:] if self.name.startswith('symlink') else named  # the first is what the link says
        return [os.path.normpath(os.path.join(folder, name)) for folder, name in named]


def calls_of_the_harness(trace: Path) -> Iterator[Call]:
    """Successful calls, but those of steps and of what they started: a step is `bash -eo pipefail -c …`."""
    product: set[int] = set()
    for line in trace.read_text(errors='replace').splitlines():
        pid, _, text = line.partition(' ')
        text = text.strip()
        if found := re.match(r'(?:clone3?|v?fork)\(.*= (\d+)$', text):
            product |= {int(found[1])} & product if int(pid) not in product else {int(found[1])}
        elif text.startswith('execve(') and '"-eo", "pipefail", "-c"' in text:
            product.add(int(pid))
        elif int(pid) not in product and (found := re.match(r'(\w+)\((.*)\) += (?:\d|\?)', text)):
            yield Call(int(pid), found[1], found[2])


def is_a_write(call: Call) -> bool:
    if call.name == 'execve':
        return False
    return not call.name.startswith('open') or re.search(r'O_WRONLY|O_RDWR|O_CREAT|O_TRUNC', call.text) is not None


def traced(trace: Path) -> tuple[str, ...]:
    need_commands('strace')
    calls = f'trace={WRITES},execve,clone,clone3,fork,vfork'
    return (
        'strace',
        '-f',
        '--seccomp-bpf',
        '-qq',
        '-y',
        '-s',
        '4096',
        '-e',
        calls,
        '-e',
        'signal=none',
        '-o',
        str(trace),
    )


def written(trace: Path) -> set[str]:
    """Paths that were written to, but for devices and pipes."""
    calls = [call for call in calls_of_the_harness(trace) if is_a_write(call)]
    return {path for call in calls for path in call.paths() if not path.startswith(('/dev/', '/proc/'))}


@pytest.mark.parametrize('fresh', [False, True])
def test_the_harness_writes_in_the_run_directory_and_its_chains_folders_alone(place: Place, fresh: bool) -> None:
    """From here, where it asks git for its own state, and from a fresh clone, where nothing is compiled."""
    trace, home = place.path / 'trace', str(place.path / 'home')
    first = place.run(
        journey('gate', 'echo $DOGFOOD_DATA_DIR >> @LEDGER@', tier='smoke', gating=True, establishes='made'),
        journey('use', 'head -c 20000 /dev/zero | tr "\\0" x', requires='made', files={'a/b': 'c'}),
        journey('stuck', 'sleep 300 & sleep 300', timeout='300ms', teardown=['true']),
        journey('unsure', 'test -e @LEDGER@.go'),
        before=traced(trace),
        environment={'PYTHONDONTWRITEBYTECODE': None, 'HOME': home},
        house=place.house() if fresh else HOUSE,
    )
    assert first.exit == 1
    places = (f'{place.path}/run', f'{place.tmp}/dogfood-')
    seen = written(trace)
    assert {path for path in seen if not path.startswith(places)} == set()
    assert len(seen) > 30
    assert not (place.path / 'home').exists()


VERBS = {
    'check': ('check', 'corpus.yaml'),
    'plan': ('plan', 'corpus.yaml', '--shards', '3', '--format', 'json'),
    'plan by default': ('corpus.yaml', '--shards', '3'),
    'graph': ('graph', 'corpus.yaml'),
    'explain': ('explain', 'use', 'corpus.yaml'),
    'needs': ('needs', 'corpus.yaml'),
}


@pytest.mark.parametrize('verb', VERBS)
def test_a_verb_that_reads_writes_nothing(place: Place, verb: str) -> None:
    trace = place.path / 'trace'
    place.corpus(
        journey('make', 'true', establishes='made', needs=['no-such-command']), journey('use', 'true', requires='made')
    )
    home = str(place.path / 'home')
    nowhere = {'PYTHONDONTWRITEBYTECODE': None, 'HOME': home, 'XDG_CACHE_HOME': home}
    done = place.verb(*VERBS[verb], before=traced(trace), house=place.house(), **nowhere)
    assert (done.exit, done.out != '') == (0, True), done.err
    assert written(trace) == set()
    assert any(call.name == 'openat' for call in calls_of_the_harness(trace))
    assert sorted(path.name for path in place.path.iterdir()) == ['corpus.yaml', 'house', 'tmp', 'trace']
