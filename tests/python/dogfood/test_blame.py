"""Wrong blame that was given once: each run that drew it, and what it comes to now."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hack.dogfood.running import workspace
from tests.python.runs import Json, Place, journey, mounted, need, need_commands

LIMITED = ('bash', '-c', 'ulimit -f 2048 && exec "$@"', 'bash')


def test_a_helper_that_may_not_write_so_much_is_not_held_against_the_product(place: Place) -> None:
    """The product itself ends with an exit status of its own, not with the signal."""
    save = "sh -c 'head -c 5000000 /dev/zero >big && rm big || exit 1'"
    done = place.run(journey('save', save), journey('lie', 'echo too large', expect={'exit': 2}), before=LIMITED)
    assert (done.exit, done.verdicts) == (1, {'save': 'infra', 'lie': 'failed'})
    assert 'it said: File size limit exceeded' in done.causes['save']


@pytest.mark.parametrize(
    'said',
    [
        'write /store/layer: no space left on device',  # Go
        "Error: ENOSPC: no space left on device, open 'out'",  # Node
        'Error: stepping, database or disk is full (13)',  # SQLite
        'gadget: disk quota exceeded',
    ],
)
def test_a_full_disk_in_the_words_of_the_product(place: Place, said: str) -> None:
    """It has room again by the time that anybody looks: a product that fails tends to clean up."""
    done = place.run(journey('save', f'echo "{said}" >&2; exit 1'))
    assert (done.exit, done.verdicts) == (3, {'save': 'infra'})
    assert 'could not be measured: it said: ' in done.causes['save']


def test_a_database_on_a_disk_that_was_full(place: Place) -> None:
    need_commands('sqlite3')
    grow = 'sqlite3 it.db "create table t(x); insert into t values(randomblob(2000000));"'
    with mounted(place.tmp, '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs'):
        done = place.run('--keep', 'none', journey('grow', f'{grow} || {{ rm -f it.db*; exit 1; }}'))
    assert (done.exit, done.verdicts) == (3, {'grow': 'infra'})


def test_what_the_signal_says_is_the_product_s_where_there_is_no_limit(place: Place) -> None:
    done = place.run(journey('save', 'echo File size limit exceeded; exit 1'))
    assert done.verdicts == {'save': 'failed'}


def test_a_chain_folder_that_was_only_half_made_is_made_anew(place: Place) -> None:
    """What a shard leaves that is killed between two of the folders, before it could tell of any."""
    place.corpus(journey('greet', 'echo hello >"$DOGFOOD_DATA_DIR/it" && cat "$DOGFOOD_DATA_DIR/it"'))
    where = place.path / 'run'
    assert place.verb('plan', 'corpus.yaml', '--shards', '1', '--run-dir', str(where)).exit == 0
    run_id = json.loads((where / 'run.json').read_text())['id']
    root = Path(workspace.make_root(run_id, str(place.tmp)))
    (root / '1/home').mkdir(parents=True)
    (where / 'shards/1/root').symlink_to(root)
    done = place.resume()
    assert (done.exit, done.causes) == (0, {})
    assert done.events()[1]['folder'] == str(root / '1')


def test_exec_of_a_bare_command_that_is_not_there(place: Place) -> None:
    """The step's own bash says so, and not its handler; a bash of the product's own is the product."""
    done = place.run(
        journey('own', 'true\nexec no-such-tool --version', expect={'exit': 'nonzero'}),
        journey('aside', '(exec no-such-tool)'),
        journey('product', """bash -c 'exec no-such-tool'"""),
        journey('needs', 'exec no-such-tool', needs=['sh']),
    )
    assert done.verdicts == {'own': 'infra', 'aside': 'infra', 'product': 'failed', 'needs': 'infra'}
    assert 'there is no command no-such-tool' in done.causes['own']


def test_a_bare_command_that_is_not_there_behind_another(place: Place) -> None:
    """`timeout 5 gadget` and its like; not what the product asks for, nor one that is there and lacks a part."""
    (place.path / 'bin').mkdir()
    (place.path / 'bin/lame').write_text('#!/no/such/interpreter\n')
    (place.path / 'bin/lame').chmod(0o755)
    of_the_product = {'files': {'product': '#!/bin/sh\ntimeout 5 no-such-tool\n'}}
    done = place.run(
        '--product-path',
        str(place.path / 'bin'),
        journey('timeout', 'timeout 5 no-such-tool --version'),
        journey('env', 'env A=1 no-such-tool', expect={'exit': 'nonzero'}),
        journey('xargs', 'echo one | xargs no-such-tool'),
        journey('setsid', 'setsid -w no-such-tool || exit 3'),
        journey('lame', 'timeout 5 lame'),
        journey('product', './product', **of_the_product),
        journey('built', 'timeout 5 ./built/product'),
    )
    infra = {'timeout': 'infra', 'env': 'infra', 'xargs': 'infra', 'setsid': 'infra'}
    assert done.verdicts == {**infra, 'lame': 'failed', 'product': 'failed', 'built': 'failed'}
    assert 'there is no command no-such-tool' in done.causes['timeout']


def test_a_pipeline_closed_early_whose_writer_lives_to_tell(place: Place) -> None:
    """Not by SIGPIPE, which Python, Rust and Node ignore; who has such trouble with a socket is the product."""
    endless = "python3 -c 'while True: print(1)'"
    said = 'echo "gadget: write: Broken pipe" >&2; exit 1'
    done = place.run(
        journey('head', f'{endless} | head -n 1', expect={'stdout': {'equals': '1'}}),
        journey('grep', f'{endless} | grep -q 1'),
        journey('product', said),
        journey('sorted', f'({said}) | sort'),
    )
    assert done.verdicts == {'head': 'infra', 'grep': 'infra', 'product': 'failed', 'sorted': 'failed'}
    assert 'closed early (it said: BrokenPipe' in done.causes['head']


@pytest.mark.parametrize('name', ['ABRT', 'BUS', 'FPE', 'ILL', 'SYS', 'TRAP', 'SEGV'])
def test_a_product_that_dies_where_its_step_asks_for_a_refusal(place: Place, name: str) -> None:
    """A green would have been drawn from a crash: any status but 0 looks like a refusal."""
    files = {'product': f'#!/bin/sh\nkill -{name} $$\n'}
    done = place.run(
        journey('if', 'if ./product; then exit 1; fi', files=files),
        journey('or', './product || status=$?; test "$status" != 0', files=files),
        journey('killed', 'sleep 30 & kill -KILL $!; wait $! || true', expect={'stderr': {'not_contains': 'such'}}),
    )
    assert done.verdicts == {'if': 'failed', 'or': 'failed', 'killed': 'passed'}
    assert done.journeys['if']['findings'][0]['kind'] == 'crash'


@pytest.mark.parametrize(('word', 'verdict'), [('skip', 'skipped'), ('infra', 'infra')])
def test_a_step_that_goes_on_after_it_has_said_that_it_cannot_be_measured(
    place: Place, word: str, verdict: str
) -> None:
    """Neither a green nor a red after that says anything of the product."""
    said = f'(dogfood-{word} no light) || true'
    done = place.run(
        journey('green', f'{said}; echo fine', expect={'stdout': {'equals': 'fine'}}),
        journey('red', f'{said}; exit 7'),
        journey('crash', f'{said}; python3 -c "import no_such_module"'),
        journey('within', f'{said}; exit 7', expect={'exit': 0, 'within': '20s'}),
    )
    assert set(done.verdicts.values()) == {verdict}
    assert 'no light' in done.causes['red']


def test_a_death_that_the_step_asks_for(place: Place) -> None:
    """bash tells of it all the same; of another one than was asked for it is a crash."""
    files = {'product': '#!/bin/sh\nkill -ABRT $$\n'}
    done = place.run(
        journey('status', 'true\n./product', expect={'exit': 134}, files=files),
        journey('sent', 'sleep 30 & kill -ABRT $!; wait $! || test $? = 134'),
        journey('other', 'true\n./product', expect={'exit': 139}, files=files),
    )
    assert done.verdicts == {'status': 'passed', 'sent': 'passed', 'other': 'failed'}


def test_a_step_whose_bash_cannot_fork(place: Place) -> None:
    """In the words of bash: to use up all processes would take the rest of the machine along."""
    words = 'fork: retry: Resource temporarily unavailable'
    done = place.run(
        journey('own', f'echo "$0: {words}" >&2; exit 254'), journey('product', f'echo "gadget: {words}" >&2; exit 254')
    )
    assert done.verdicts == {'own': 'infra', 'product': 'failed'}


def test_a_folder_that_was_taken_away_and_made_again_by_the_product(place: Place) -> None:
    taken = 'mv "${DOGFOOD_DATA_DIR%/data}" @LEDGER@; mkdir -p "$DOGFOOD_DATA_DIR/store"; cat "$DOGFOOD_DATA_DIR/it"'
    done = place.run(journey('read', 'echo it >"$DOGFOOD_DATA_DIR/it"', taken))
    assert done.verdicts == {'read': 'infra'}
    assert 'it is gone' in done.causes['read']


@pytest.mark.parametrize(
    ('expect', 'said'),
    [
        ({'stdout': {'matches': '(a+)+$'}}, {}),
        ({'stdout': {'contains': 'a'}}, {'crash_markers': {'add': ['(a+)+$']}}),
    ],
    ids=['matches', 'crash marker'],
)
def test_a_pattern_that_takes_for_ever(place: Place, expect: Json, said: Json) -> None:
    """It would keep the shard from every other journey, deaf to Ctrl-C and to the deadline."""
    place.corpus(
        journey('slow', f'echo {"a" * 60}b', expect=expect),
        journey('next', 'echo a', expect={'stdout': {'equals': 'a'}}),
        **said,
    )
    done = place.run()
    assert (done.exit, done.verdicts) == (3, {'slow': 'infra', 'next': 'passed'})
    assert 'regular expressions' in done.causes['slow']


def test_a_run_goes_on_with_the_product_that_it_began_with(place: Place) -> None:
    """Or what one product passed would stand for another, which was never asked."""
    product = place.path / 'bin/gadget'
    product.parent.mkdir()
    product.write_text('#!/bin/sh\necho 1\n')
    product.chmod(0o755)
    place.corpus(
        journey('one', 'gadget', expect={'stdout': {'contains': '1'}}), journey('later', 'dogfood-infra no light')
    )
    first = place.run('--product-path', str(product.parent))
    assert first.verdicts == {'one': 'passed', 'later': 'infra'}
    assert place.resume().exit == 3
    product.write_text('#!/bin/sh\necho 2\n')
    refused = place.resume()
    assert (refused.exit, refused.verdicts) == (2, first.verdicts)
    assert f'{product} has changed since it began' in refused.err
    product.unlink()
    product.parent.rmdir()
    assert f'{product.parent}: No such file or directory' in place.resume().err


def test_a_product_that_is_built_anew_while_a_run_goes_on(place: Place) -> None:
    """Not one that a journey takes away, which says so itself, nor one that is built anew afterwards."""
    product = place.path / 'bin/gadget'
    product.parent.mkdir()
    for path in (product, product.with_name('other')):
        path.write_text('#!/bin/sh\necho 1\n')
        path.chmod(0o755)
    build = 'printf "#!/bin/sh\\necho 2\\n" >@LEDGER@; chmod +x @LEDGER@; mv @LEDGER@ "$(type -P gadget)"; sleep 0.1'
    done = place.run(
        '--product-path',
        str(product.parent),
        journey('one', 'gadget', expect={'stdout': {'contains': '1'}}, tier='smoke'),
        journey('build', build),
        journey('remove', 'rm "$(type -P other)"; sleep 0.1'),
        journey('two', 'gadget', expect={'stdout': {'contains': '2'}}, tier='deep'),
        shards=1,
    )
    assert (done.exit, set(done.verdicts.values())) == (3, {'passed'})
    (problem,) = done.bundle['problems']
    assert (problem['evidence'], problem['observed']) == (str(product), 'another program since the run began')


def test_a_product_that_is_built_anew_after_a_run(place: Place) -> None:
    product = place.path / 'bin/gadget'
    product.parent.mkdir()
    product.write_text('#!/bin/sh\necho 1\n')
    product.chmod(0o755)
    asked = journey('one', 'gadget', expect={'stdout': {'contains': '1'}})
    assert place.run('--product-path', str(product.parent), asked).exit == 0
    product.write_text('#!/bin/sh\necho 2\n')
    assert place.verb('report', 'run').exit == 0


def test_a_product_that_the_kernel_killed_for_want_of_memory(place: Place) -> None:
    """Whose memory it was, nobody can tell; who kills itself, or is killed later, is the product all the same."""
    with limited_memory('150M') as before:
        done = place.run(
            journey('hungry', 'head -c 400M /dev/zero | tail -c 300M | wc -c', timeout='30s'),
            journey('killed', 'kill -KILL $$'),
            before=before,
            shards=1,
        )
    assert done.verdicts == {'hungry': 'infra', 'killed': 'failed'}
    assert 'want of memory' in done.causes['hungry']


def test_a_part_of_the_product_that_the_kernel_killed_for_want_of_memory(place: Place) -> None:
    """A worker, whose master says so and gives up; and a daemon, which its client then does not find."""
    eat = 'head -c 400M /dev/zero | tail -c 300M >/dev/null'
    gone = 'pid=$(cat pid); while kill -0 $pid 2>/dev/null; do sleep 0.05; done; echo "no answer" >&2; exit 7'
    with limited_memory('150M') as before:
        done = place.run(
            journey('worker', './build', files={'build': f'#!/bin/bash\nset -o pipefail\n{eat} || exit 2\n'}),
            journey('daemon', f'{eat} 2>&1 & echo $! > pid', gone, timeout='30s'),
            journey('later', 'echo Killed >&2; exit 2'),
            before=before,
            shards=1,
        )
    assert done.verdicts == {'worker': 'infra', 'daemon': 'infra', 'later': 'failed'}
    assert 'want of memory' in done.causes['worker']
    assert 'want of memory' in done.causes['daemon']


@contextmanager
def limited_memory(limit: str) -> Iterator[tuple[str, ...]]:
    """What starts a program in a control group of its own; skips where none can be made."""
    roots = [Path('/sys/fs/cgroup/memory'), Path('/sys/fs/cgroup')]
    root = next((root for root in roots if (root / 'cgroup.procs').exists()), roots[-1])
    group = root / f'dogfood-test-{os.getpid()}'
    try:
        group.mkdir()
    except OSError as error:
        need(f'a control group: {error}', False)
    try:
        knob = next((name for name in ('memory.limit_in_bytes', 'memory.max') if (group / name).exists()), None)
        need('a control group that limits memory', knob is not None)
        (group / str(knob)).write_text(limit)
        yield ('bash', '-c', f'echo $$ >{group}/cgroup.procs && exec "$@"', 'bash')
    finally:
        group.rmdir()
