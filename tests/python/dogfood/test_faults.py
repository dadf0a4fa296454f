"""Shards, their makers and their records are killed, cut and forged: no fault of ours is ever the product's failure.

Each journey of the corpus writes its name and its chain's folder to a ledger outside of the chains, refuses to run
where it has run before, and fails for the product's reason only where the truth below says so. After each fault and
its report, RESUME goes on; what the rules of a resumed run promise is then checked by `hold`.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hack.common import files, process
from hack.dogfood.model import FINAL_VERDICTS
from hack.dogfood.rundir import RunDir
from hack.dogfood.running import progress
from hack.dogfood.running.runs import prune
from tests.python.runs import DOGFOOD, HOUSE, PYTHON, WAIT_SECONDS, Done, Live, Place, journey, need_commands, several

# By name: what each comes to, whatever happens in between.
TRUTH: Mapping[str, str] = {
    'a1': 'passed',
    'a2': 'passed',
    'a3': 'passed',
    'b1': 'passed',
    'b2': 'passed',
    'c1': 'passed',
    'd1': 'passed',
    'e1': 'failed',
    'e2': 'blocked',
}
MOMENTS = int(os.environ.get('FAULT_MOMENTS', '2'))  # of each kind; more find what is rarer
CHAINS = (('a1', 'a2', 'a3'), ('b1', 'b2'), ('c1',), ('d1',), ('e1', 'e2'))


def told(name: str, then: str = '', **said: Any) -> dict[str, Any]:
    """A journey that says in the ledger that it ran, and where; a second time in one folder is its failure."""
    own = f'$DOGFOOD_DATA_DIR/{name}'
    return journey(
        name, f'echo {name} $DOGFOOD_DATA_DIR >> @LEDGER@; test ! -e {own}; sleep 0.03; touch {own}; {then}', **said
    )


DAEMON = 'setsid sleep 300 >/dev/null 2>&1 & echo $! > $DOGFOOD_DATA_DIR/pid; test -s $DOGFOOD_DATA_DIR/pid'
JOURNEYS_OF_ALL_KINDS = (
    told('a1', tier='smoke', gating=True, establishes='a'),
    told('a2', requires='a', establishes='aa'),
    told('a3', tier='deep', requires='aa'),
    told('b1', DAEMON, tier='smoke', establishes='b', teardown=['kill $(cat $DOGFOOD_DATA_DIR/pid)']),
    told('b2', 'kill -0 $(cat $DOGFOOD_DATA_DIR/pid)', requires='b'),
    told('c1'),
    told('d1', tier='deep'),
    told('e1', 'false', establishes='e'),
    told('e2', requires='e'),
)


def report(place: Place) -> Done:
    done = place.verb('report', str(place.path / 'run'))
    assert 'Traceback' not in done.err
    return done


def hold(place: Place, first: Done, kept: bool = False) -> Done:
    """What was reported after the fault blames nobody wrongly, and going on with the run keeps every rule.

    `kept`: the run keeps its chains' folders; else none may be left.
    """
    before, ran_before = first.verdicts, place.ran()
    for name, verdict in before.items():
        assert verdict in (TRUTH[name], 'infra', 'blocked', 'deferred'), (name, verdict, first.causes.get(name))
        assert verdict != 'blocked' or name == 'e2' or first.verdicts[first.journeys[name]['root']] == 'infra'
    again = place.resume()
    assert again.verdicts == TRUTH, (again.causes, again.err)
    assert (again.exit, again.said_exit, again.bundle['problems']) == (1, '1', [])
    ran = place.ran()[len(ran_before) :]
    for chain in CHAINS:
        if all(before[name] == TRUTH[name] for name in chain):
            assert not [line for line in ran if line.split()[0] in chain], (chain, ran)
    assert place.processes() == []
    assert kept or list(place.tmp.iterdir()) == []
    return again


# -- killed ------------------------------------------------------------------------------------

UNTIL_LET_GO = 'until test -e @LEDGER@.go; do sleep 0.02; done'


def shard_of(run_dir: RunDir, name: str) -> int:
    lines = run_dir.plan_lines.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if name in line.replace(',', ' ').split())


def let_go(place: Place) -> None:
    Path(f'{place.ledger}.go').touch()


def begin(place: Place, seed: str, shard: int = 1) -> tuple[Live, process.Process]:
    """A run in which some journey of the shard has just begun, or has just ended, as the seed says."""
    chance = random.Random(seed)
    live = place.start('--keep', 'none', *JOURNEYS_OF_ALL_KINDS)
    its = live.shard(shard)
    line = live.run_dir.plan_lines.read_text().splitlines()[shard - 1]
    moment = chance.choice([name for name in line.replace(',', ' ').split() if name != 'e2'])
    live.until(lambda: any(ran.startswith(f'{moment} ') for ran in place.ran()))
    time.sleep(chance.uniform(0, 0.06))
    return live, its


def kill(its: process.Process) -> None:
    process.send(its, signal.SIGKILL)


@pytest.mark.parametrize('shard', [1, 2])
def test_a_shard_is_killed(shard: int) -> None:
    def one(place: Place, seed: int) -> bool:
        live, its = begin(place, f'{seed}', shard)
        kill(its)
        first = live.wait()
        hold(place, first)
        return 'infra' in first.verdicts.values()

    assert any(several(one, range(MOMENTS)))


def test_all_of_a_run_is_killed_at_once() -> None:
    """Script, make and shards; what their steps started has sessions of its own and runs on."""

    def one(place: Place, seed: int) -> bool:
        live, _ = begin(place, f'all {seed}')
        os.killpg(live.script.pid, signal.SIGKILL)
        assert live.wait().said_exit is None
        first = report(place)
        assert place.processes() == []
        hold(place, first)
        return 'infra' in first.verdicts.values()

    assert any(several(one, range(MOMENTS)))


def test_make_is_killed_and_its_shards_are_waited_for() -> None:
    def one(place: Place, seed: int) -> None:
        live, _ = begin(place, f'make {seed}')
        for its in children_of(live.script.pid, 'make'):
            kill(its)
        first = live.wait()
        assert first.verdicts == TRUTH
        hold(place, first)

    several(one, range(MOMENTS))


def test_the_script_is_killed_and_its_shards_go_on(place: Place) -> None:
    """Until they are done nobody else gets into the run directory, and a report takes nothing from them."""
    live = place.start(journey('held', f'echo held >> @LEDGER@; {UNTIL_LET_GO}'), journey('other', 'true'))
    live.until_started('held')
    live.script.kill()
    live.wait()
    meanwhile, refused, afresh = report(place), place.resume(), place.run()
    assert (meanwhile.verdicts['held'], meanwhile.causes['held']) == ('infra', 'shard 1 is still running it')
    assert [refused.exit, afresh.exit] == [2, 2]
    assert 'shard 1 of it still runs' in refused.err
    assert 'Traceback' not in refused.err + afresh.err
    let_go(place)
    assert place.verb('wait', str(live.run_dir.path)).exit == 0
    last = report(place)
    assert (last.exit, last.verdicts) == (0, {'held': 'passed', 'other': 'passed'})
    assert (place.resume().exit, place.ran()) == (0, ['held'])


def children_of(pid: int, name: str) -> list[process.Process]:
    return [its for its in process.descendants(pid) if its.name == name]


HIDDEN = {
    'env': 'cd $DOGFOOD_DATA_DIR; env -i setsid sleep 300 >/dev/null 2>&1 &',
    'redis-server': 'redis-server --port 0 --unixsocket $DOGFOOD_DATA_DIR/socket --daemonize yes',
}


@pytest.mark.parametrize('program', HIDDEN)
def test_what_hides_its_environment_does_not_survive_its_shard(place: Place, program: str) -> None:
    """redis and postgres write their title over it, `env -i` leaves none; others of the kind are not touched."""
    need_commands(program)

    def hidden() -> list[int]:
        return [its.pid for its in place.processes() if b'=' not in process.environment_of(its.pid)]

    with subprocess.Popen(['env', '-i', 'sleep', '300'], cwd=place.path) as bystander:
        try:
            live = place.start(journey('hide', f'{HIDDEN[program]} sleep 300'.replace('yes sleep', 'yes; sleep')))
            live.until(lambda: set(hidden()) - {bystander.pid})
            os.killpg(live.script.pid, signal.SIGKILL)
            live.wait()
            report(place)
            assert hidden() == [bystander.pid]
        finally:
            bystander.kill()


# -- crashes at each call ----------------------------------------------------------------------


def begun(place: Place) -> RunDir:
    """A run directory with its plan, for one shard that somebody else is to run."""
    place.corpus(*JOURNEYS_OF_ALL_KINDS)
    assert place.verb('plan', 'corpus.yaml', '--shards', '1', '--keep', 'none', '--run-dir', 'run').exit == 0
    return RunDir(place.path / 'run')


def tampered(call: str, how: str, *more: str) -> tuple[str, ...]:
    """strace for one process alone, none that it starts: what becomes of one kind of its calls."""
    return ('strace', '-qqq', '-o', '/dev/null', '-e', f'trace={call}', '-e', f'inject={call}:{how}', *more)


@pytest.mark.parametrize(
    ('call', 'calls'), [('write', 40), ('rename', 12), ('mkdir', 34), ('symlink', 1), ('unlink', 10), ('rmdir', 6)]
)
def test_a_shard_crashes_at_some_call(call: str, calls: int) -> None:
    """`calls`: how many of them a run without a fault makes."""
    need_commands('strace')

    def one(place: Place, number: int) -> None:
        begun(place)
        assert place.verb('shard', 'run', '1', before=tampered(call, f'signal=KILL:when={number}')).exit in (0, 137)
        hold(place, report(place))

    several(one, random.Random(call).sample(range(1, calls + 1), calls)[:MOMENTS])


# -- the machine starts anew -------------------------------------------------------------------


def reboot(run_dir: RunDir) -> None:
    """Make the records those of an earlier boot of the machine."""
    for path in (run_dir.run, *run_dir.path.glob('shards/*/results.jsonl'), *run_dir.capabilities.iterdir()):
        path.write_text(path.read_text().replace(files.boot_id(), 'another-boot'))


def test_records_end_where_the_power_was_cut() -> None:
    """At any byte: what was whole stands, the rest is measured again, in fresh folders."""

    def one(place: Place, seed: int) -> None:
        place.run('--keep', 'all', *JOURNEYS_OF_ALL_KINDS)
        run_dir = RunDir(place.path / 'run')
        chance = random.Random(seed)
        for shard in (1, 2):
            path = run_dir.results(shard)
            path.write_bytes(path.read_bytes()[: chance.randrange(path.stat().st_size)])
        reboot(run_dir)
        place.ledger.write_text('')
        hold(place, report(place), kept=True)

    several(one, range(MOMENTS))


def test_records_may_end_anywhere(place: Place) -> None:
    """Read back, each cut gives what was whole, and no chain of an earlier boot is taken to be at rest."""
    place.run(*JOURNEYS_OF_ALL_KINDS, shards=1)
    path = RunDir(place.path / 'run').results(1)
    whole = path.read_bytes()
    records = [event['record'] for event in files.read_jsonl(path)[0] if event['event'] == 'result']
    finals = [record for record in records if record['verdict'] in FINAL_VERDICTS]
    cut = place.path / 'cut.jsonl'
    ends = [number for number, byte in enumerate(whole) if byte == ord('\n')]
    for size in sorted({*range(0, len(whole), 11), *(end + off for end in ends for off in (-1, 0, 1))}):
        cut.write_bytes(whole[:size])
        files.JsonLines(cut).close()
        healed = cut.read_bytes()
        assert healed == whole[: len(healed)]
        assert len(healed) in (size, whole[:size].rfind(b'\n') + 1, size + 1)
        if healed.endswith(b'\n') and whole[size - 1 : size] in (b'\n', b'}'):
            chains = progress.read(files.read_jsonl(cut)[0], 'another-boot')
            read = [final for chain in chains.values() for final in chain.finals.values()]
            assert [final for final in finals if final in read] == finals[: len(read)]
            assert not any(chain.at_rest for chain in chains.values())


@pytest.mark.parametrize('damage', ['torn', 'nul', 'garbage'])
def test_records_are_damaged(place: Place, damage: str) -> None:
    """The end is what a crash leaves: it is healed and never mentioned. The middle is said, and left out by RESUME."""
    place.run('--keep', 'none', *JOURNEYS_OF_ALL_KINDS, shards=1)
    path = RunDir(place.path / 'run').results(1)
    lines = path.read_bytes().splitlines(keepends=True)
    where = next(number for number, line in enumerate(lines) if b'"id":"a2"' in line)
    match damage:
        case 'torn':
            path.write_bytes(b''.join(lines[:where]) + lines[where][:40])
        case 'nul':
            path.write_bytes(b''.join(lines[:where]) + bytes(700))
        case _:
            lines[where] = b'\x00\xff{"event":"result","record":' + lines[where]
            path.write_bytes(b''.join(lines))
    first = report(place)
    assert first.verdicts['a2'] == 'infra'
    assert bool(first.bundle['problems']) == (damage == 'garbage')
    place.ledger.write_text('')
    hold(place, first)
    assert [name for line in place.ran() if (name := line.split()[0]) in ('a1', 'a2')] == ['a1', 'a2']
    damaged = path.with_name('results.jsonl.damaged')
    assert b'"id":"a2"' in damaged.read_bytes() if damage == 'garbage' else not damaged.exists()


def test_records_hold_what_no_shard_writes(place: Place) -> None:
    """It is said for good: nobody knows where it comes from."""
    place.run(*JOURNEYS_OF_ALL_KINDS, shards=1)
    with RunDir(place.path / 'run').results(1).open('a') as file:
        file.write('{"event": "result"}\n{"event": "start", "journey": 7}\n{"event": "chain-end"}\n{}\n')
    first, again = report(place), place.resume()
    assert first.verdicts == again.verdicts == TRUTH
    assert len(again.bundle['problems']) == len(first.bundle['problems']) == 4


# -- markers and gates -------------------------------------------------------------------------

MARKER = '$DOGFOOD_CAPABILITIES/made.json'
NO_MARKER = '{"token": "made", "journey": "make", "chain": "make", "shard": 1, "seal": "none"}'


@pytest.mark.parametrize(
    ('what', 'cause'),
    [
        (f'rm {MARKER}', 'it is gone'),
        (f': > {MARKER}', 'it cannot be read'),
        (f'truncate --size=-9 {MARKER}', 'it cannot be read'),
        (f'sed -i s/make/meddle/ {MARKER}', 'its seal'),
        (f"echo '{NO_MARKER}' > {MARKER}", 'it is not a marker'),
        (f'cp $DOGFOOD_CAPABILITIES/also.json {MARKER}', 'its seal'),
    ],
)
def test_a_marker_is_lost_or_forged(place: Place, what: str, cause: str) -> None:
    first = place.run(
        journey('make', 'echo make >> @LEDGER@; touch $DOGFOOD_DATA_DIR/made', establishes=['made', 'also']),
        journey('meddle', f'echo meddle >> @LEDGER@; test -e @LEDGER@.go || {{ {what}; }}', requires='also'),
        journey('use', 'echo use >> @LEDGER@; cat $DOGFOOD_DATA_DIR/made', requires='made'),
    )
    assert (first.exit, first.verdicts) == (3, {'make': 'passed', 'meddle': 'passed', 'use': 'infra'})
    assert cause in first.causes['use']
    let_go(place)
    again = place.resume()
    assert (again.exit, set(again.verdicts.values())) == (0, {'passed'})
    assert place.ran() == ['make', 'meddle', 'make', 'use']


def test_a_marker_of_another_run_is_not_relied_on(place: Place) -> None:
    make = journey('make', 'echo make >> @LEDGER@', establishes='made')
    place.run(make, run_dir=place.path / 'earlier')
    first = place.run(
        make,
        journey('meddle', f'cp {place.path}/earlier/capabilities/made.json {MARKER}', requires='made'),
        journey('use', 'echo use >> @LEDGER@', requires='made', tier='deep'),
    )
    assert (first.exit, first.verdicts['use'], place.ran()) == (3, 'infra', ['make', 'make'])


def test_a_gate_whose_shard_is_killed_defers_and_never_hangs(place: Place) -> None:
    live = place.start(
        journey('gate', f'echo gate >> @LEDGER@; {UNTIL_LET_GO}', tier='smoke', gating=True),
        journey('behind', 'echo behind >> @LEDGER@'),
    )
    live.until(lambda: place.ran())
    kill(live.shard(shard_of(live.run_dir, 'gate')))
    first = live.wait()
    assert (first.exit, first.verdicts) == (3, {'gate': 'infra', 'behind': 'deferred'})
    assert first.journeys['behind']['root'] == 'gate'
    let_go(place)
    again = place.resume()
    assert (again.exit, set(again.verdicts.values())) == (0, {'passed'})
    assert place.ran() == ['gate', 'gate', 'behind']


@pytest.mark.parametrize('what', ['rm GATE', ': > GATE', 'rm GATE; mkdir GATE'])
def test_a_gates_verdict_is_lost_after_it_was_told(place: Place, what: str) -> None:
    """The record it was told from stands; nothing is held back, nor passed over in silence, for the loss of it."""
    meddle = what.replace('GATE', '${DOGFOOD_CAPABILITIES%/*}/gates/gate.json')
    done = place.run(
        journey('gate', 'sleep 0', tier='smoke', gating=True, establishes='open'),
        journey('meddle', f'{meddle}; sleep 0', tier='smoke', requires='open'),
        journey('behind', 'echo behind >> @LEDGER@'),
        journey('far-behind', 'echo behind >> @LEDGER@', tier='deep'),
    )
    assert (done.exit, set(done.verdicts.values()), place.ran()) == (0, {'passed'}, ['behind', 'behind'])


@pytest.mark.parametrize('missing', ['job', 'folder'])
def test_a_shard_that_cannot_start_is_not_waited_for_without_end(place: Place, missing: str) -> None:
    place.corpus(journey('gate', 'true', tier='smoke', gating=True), journey('behind', 'true'))
    place.verb('plan', 'corpus.yaml', '--shards', '2', '--run-dir', 'run')
    run_dir = RunDir(place.path / 'run')
    first = shard_of(run_dir, 'gate')
    second = 3 - first
    if missing == 'job':
        run_dir.job(first).unlink()
        assert place.verb('shard', 'run', str(first)).exit == 2
    else:
        shutil.rmtree(run_dir.shard(first))
    started = time.monotonic()
    done = subprocess.run(
        [str(PYTHON), '-c', SHARD_WITH_LITTLE_PATIENCE, str(run_dir.path), str(second)], cwd=HOUSE, timeout=WAIT_SECONDS
    )
    assert (done.returncode, time.monotonic() - started < 5) == (0, True)
    told = report(place)
    assert told.verdicts == {'gate': 'infra', 'behind': 'deferred'}


SHARD_WITH_LITTLE_PATIENCE = """
import os, sys
from pathlib import Path
from hack.common.process import Supervisor
from hack.dogfood.running import shard
from hack.dogfood.running import progress
from hack.dogfood.model import FINAL_VERDICTS
from hack.dogfood.rundir import RunDir
from hack.dogfood.running.runs import prune

run_dir = RunDir(Path(sys.argv[1]))
sys.exit(shard.run(run_dir, int(sys.argv[2]), Supervisor(), dict(os.environ), lambda record: None, patience=0.5))
"""


# -- going on -----------------------------------------------------------------------------------


def test_a_chain_at_rest_goes_on_where_it_is_and_is_torn_down_whole(place: Place) -> None:
    """The shard is killed between two journeys, while it waits for a gate: nothing of its first chain is unsettled."""
    down = ['echo down $DOGFOOD_DATA_DIR >> @LEDGER@; test -e made']
    make = 'echo make $DOGFOOD_DATA_DIR >> @LEDGER@; touch made $DOGFOOD_DATA_DIR/made; ls made'
    live = place.start(
        '--keep',
        'none',
        journey('gate', UNTIL_LET_GO, tier='smoke', gating=True),
        journey('make', make, tier='smoke', establishes='made', teardown=down),
        journey('use', 'echo use $DOGFOOD_DATA_DIR >> @LEDGER@; ls $DOGFOOD_DATA_DIR/made', requires='made'),
    )
    live.until(lambda: place.ran())
    live.until(lambda: any(event['event'] == 'result' for shard in (1, 2) for event in events_of(live, shard)))
    kill(live.shard(shard_of(live.run_dir, 'make')))
    let_go(place)
    first = live.wait()
    assert (first.exit, first.verdicts) == (3, {'gate': 'passed', 'make': 'passed', 'use': 'infra'})
    again = place.resume()
    assert (again.exit, set(again.verdicts.values())) == (0, {'passed'})
    assert [line.split()[0] for line in place.ran()] == ['make', 'use', 'down']
    assert len({line.split()[1] for line in place.ran()}) == 1
    assert again.journeys['use']['chain_attempt'] == 1
    assert 'teardown' not in (live.run_dir.log(shard_of(live.run_dir, 'make'))).read_text()
    assert list(place.tmp.iterdir()) == []


def events_of(live: Live, shard: int) -> list[dict[str, Any]]:
    path = live.run_dir.results(shard)
    return files.read_jsonl(path)[0] if path.exists() else []


def test_names_outside_of_the_chain_are_new_with_each_attempt(place: Place) -> None:
    """What a product keeps elsewhere may have outlived a killed attempt: the next one must not stumble over it."""
    take = 'name=@LEDGER@.$DOGFOOD_SANDBOX_PREFIX; echo $name; mkdir "$name"; test -e @LEDGER@.go || dogfood-infra wait'
    first = place.run(journey('take', take, expect={'stdout': {'contains': 'df-'}}))
    assert (first.exit, first.verdicts) == (3, {'take': 'infra'})
    let_go(place)
    again = place.resume()
    assert (again.exit, again.verdicts) == (0, {'take': 'passed'})
    assert len(list(place.path.glob('ledger.df-*'))) == 2


def test_old_runs_are_removed_with_what_is_left_of_them_damaged_ones_too(place: Place) -> None:
    place.corpus(journey('one', 'dogfood-infra why'))
    state = place.path / '.dogfood'
    for _ in range(3):
        place.verb('start', 'corpus.yaml', '--shards', '1')
        place.verb('shard', str(state / 'latest'), '1')
    runs = sorted((state / 'runs').iterdir())
    (runs[1] / 'run.json').write_text('{')
    (runs[1] / 'shards/1/results.jsonl').unlink()
    assert len(list(place.tmp.iterdir())) == 3
    prune(state, keep=1)
    assert list((state / 'runs').iterdir()) == [runs[2]]
    assert [path.name for path in place.tmp.iterdir()] == [Path(os.readlink(runs[2] / 'shards/1/root')).name]


def test_a_run_that_goes_on_is_not_removed(place: Place) -> None:
    place.corpus(journey('one', 'sleep 0'))
    state = place.path / '.dogfood'
    place.verb('start', 'corpus.yaml', '--owner', str(os.getpid()))
    place.verb('start', 'corpus.yaml')
    prune(state, keep=0)
    assert len(list((state / 'runs').iterdir())) == 1


def test_a_new_run_is_not_in_the_way_of_what_a_killed_one_left_running(place: Place) -> None:
    """A daemon on a port of its own, say: what finds the port taken has not failed."""
    serve = 'setsid sleep 300 >/dev/null 2>&1 & echo $! >>@LEDGER@; sleep 300'
    place.corpus(journey('serve', serve))
    script = (str(HOUSE / DOGFOOD), '--state', str(place.path / '.dogfood'), 'corpus.yaml')
    first = subprocess.Popen(
        script,
        cwd=place.path,
        env=place.environment(),
        process_group=0,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until = time.monotonic() + 30
    while not place.ran() and time.monotonic() < until:
        time.sleep(0.01)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    daemon = process.look_up(int(place.ran()[0]))
    assert daemon
    assert process.is_alive(daemon)
    place.corpus(journey('alone', f'! grep "^State:.[RSD]" /proc/{daemon.pid}/status'))
    done = subprocess.run(script, cwd=place.path, env=place.environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert not process.is_alive(daemon)


def test_a_shard_that_does_not_start_again_is_told_and_not_what_it_said_last(place: Place) -> None:
    first = place.run(journey('one', 'true', tier='smoke'), journey('later', 'dogfood-infra no light'), shards=1)
    assert first.causes == {'later': 'step 1 said: no light'}
    assert place.verb('start', '--resume', 'run').exit == 0
    again = place.verb('report', 'run')
    assert (again.exit, again.verdicts) == (3, first.verdicts)
    assert again.causes == {'later': 'shard 1 did not start again'}
    assert [shard['ending'] for shard in again.bundle['shards']] == ['absent']
    assert place.resume().causes == {'later': 'step 1 said: no light'}
