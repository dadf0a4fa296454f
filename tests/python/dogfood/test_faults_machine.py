"""The machine fails: full and read-only disks, limits, missing programs, a clock that jumps: never the product."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from hack.common import process
from hack.dogfood.rundir import RunDir
from tests.python.runs import HOUSE, Place, journey, mounted, need, need_commands, need_root

PASSED = {'passed'}


def all_of(verdicts: dict[str, str]) -> set[str]:
    return set(verdicts.values())


# -- full --------------------------------------------------------------------------------------

FLOOD = 'head -c 600000 /dev/urandom | base64 -w 100'
PAGES = 'head -c 6000 /dev/zero | tr "\\0" x'


def test_the_run_directory_is_full(place: Place) -> None:
    """Evidence that does not fit is named as lost; where a record does not fit, its shard stops and says so."""
    run = place.path / 'run'
    run.mkdir()
    with mounted(run, '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs'):
        fill = 'dd if=/dev/zero of=${DOGFOOD_CAPABILITIES%/*}/fill bs=4k status=none || echo full'
        first = place.run(
            journey('flood', FLOOD, tier='smoke'),
            journey('fill', fill, expect={'stdout': {'contains': 'full'}}, requires='x'),
            journey('next', 'echo next >> @LEDGER@', establishes='x'),
            journey('other', f'echo other >> @LEDGER@; {PAGES}', tier='deep'),
            shards=1,
        )
        assert first.exit == 3
        assert 'No space left on device' in first.err
        assert '\nfailed' not in first.out
        subprocess.run(['mount', '-o', 'remount,size=50m', str(run)], check=True)
        told = place.verb('report', str(run))
        assert all_of(told.verdicts) <= {'passed', 'infra'}
        assert told.verdicts['other'] == 'infra'
        again = place.resume()
        assert (again.exit, all_of(again.verdicts)) == (0, PASSED)


@pytest.mark.parametrize('clean_up', ['', '; rm -f $DOGFOOD_DATA_DIR/*; sync'])
def test_the_disk_of_the_chains_is_full(place: Place, clean_up: str) -> None:
    """Also where the product that failed for it has made room again."""
    with mounted(place.tmp, '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs'):
        write = f'dd if=/dev/zero of=$DOGFOOD_DATA_DIR/big bs=1M count=4 status=none || {{ s=$?{clean_up}; exit $s; }}'
        first = place.run('--keep', 'none', journey('write', write), journey('small', 'echo x > $DOGFOOD_DATA_DIR/x'))
        assert (first.exit, first.verdicts['write']) == (3, 'infra')
        assert first.verdicts['small'] in ('passed', 'infra')  # it may need its byte while the disk is full
        assert 'No space left on device' in first.causes['write']
        subprocess.run(['mount', '-o', 'remount,size=50m', str(place.tmp)], check=True)
        again = place.resume()
        assert (again.exit, all_of(again.verdicts)) == (0, PASSED)


@pytest.mark.parametrize('inodes', [2, 9])
def test_the_disk_of_the_chains_has_no_room_for_folders(place: Place, inodes: int) -> None:
    with mounted(place.tmp, '-t', 'tmpfs', '-o', f'nr_inodes={inodes}', 'tmpfs'):
        write = 'for n in 1 2 3 4 5 6 7 8 9; do echo $n > $DOGFOOD_DATA_DIR/$n; done'
        first = place.run('--keep', 'none', journey('write', write), journey('other', write), shards=1)
        assert all_of(first.verdicts) == {'infra'}
        assert first.exit == 3
        subprocess.run(['mount', '-o', 'remount,nr_inodes=500', str(place.tmp)], check=True)
        again = place.resume()
        assert (again.exit, all_of(again.verdicts)) == (0, PASSED)


def test_the_run_directory_has_no_room_for_files(place: Place) -> None:
    run = place.path / 'run'
    run.mkdir()
    with mounted(run, '-t', 'tmpfs', '-o', 'nr_inodes=24', 'tmpfs'):
        made = [journey(f'make-{n}', f'echo {n} >> @LEDGER@', establishes=f'made-{n}') for n in range(20)]
        first = place.run(*made, shards=1)
        assert first.exit == 3
        subprocess.run(['mount', '-o', 'remount,nr_inodes=500', str(run)], check=True)
        told = place.verb('report', str(run))
        assert all_of(told.verdicts) == {'passed', 'infra'}
        again = place.resume()
        assert (again.exit, all_of(again.verdicts)) == (0, PASSED)


def test_there_is_no_room_to_start(place: Place) -> None:
    run = place.path / 'run'
    run.mkdir()
    with mounted(run, '-t', 'tmpfs', '-o', 'nr_inodes=6', 'tmpfs'):
        done = place.run(journey('never', 'echo never >> @LEDGER@'))
        assert (done.exit, done.bundle, place.ran()) == (2, {}, [])
        assert 'Traceback' not in done.err
        assert 'No space left on device (name a folder that can be written)' in done.err


@pytest.mark.parametrize('catches', [False, True])
def test_a_limit_on_the_size_of_files(place: Place, catches: bool) -> None:
    """Whether the product dies of it, or is told and gives up."""
    write = 'dd if=/dev/zero of=big bs=1k count=400 status=none'
    limit = ('bash', '-c', 'ulimit -f 200; exec "$@"', '-')
    asked = [journey('write', f"(trap '' XFSZ; {write})" if catches else write), journey('small', 'true')]
    first = place.run(*asked, before=limit)
    assert (first.exit, first.verdicts) == (3, {'write': 'infra', 'small': 'passed'})
    again = place.resume()
    assert (again.exit, all_of(again.verdicts)) == (0, PASSED)


@pytest.mark.parametrize('call', ['write', 'fdatasync'])
def test_a_disk_is_full_or_broken_from_some_write_on(place: Place, call: str) -> None:
    """A record that did not arrive whole is taken back, and what was measured but not kept is measured again."""
    need_commands('strace')
    pause = 'sleep 0.4' if call == 'fdatasync' else 'sleep 0'  # there is a sync a second
    asked = [journey(f'one-{n}', f'echo {n} >> @LEDGER@; {pause}') for n in range(4)]
    place.corpus(*asked)
    place.verb('plan', 'corpus.yaml', '--shards', '1', '--run-dir', 'run')
    results = RunDir(place.path / 'run').results(1)
    error = 'ENOSPC' if call == 'write' else 'EIO'
    calls = f'{call},openat'
    tamper = ('strace', '-qqq', '-o', '/dev/null', '-e', f'trace={calls}', '-P', str(results), '-e')
    done = place.verb('shard', 'run', '1', before=(*tamper, f'inject={call}:error={error}:when=2+'))
    assert done.exit == 3
    told = place.verb('report', 'run')
    assert all_of(told.verdicts) <= {'passed', 'infra'}
    assert told.bundle['problems'] == []
    again = place.resume()
    assert (again.exit, all_of(again.verdicts), again.bundle['problems']) == (0, PASSED, [])


def test_records_are_synced_while_a_long_step_runs(place: Place) -> None:
    """What a power cut can take is a second's work, not what was measured before a step that takes its time."""
    need_commands('strace')
    place.corpus(journey('quick', 'true', tier='smoke'), journey('takes-its-time', 'sleep 1.4; date +%s.%N > @LEDGER@'))
    place.verb('plan', 'corpus.yaml', '--shards', '1', '--run-dir', 'run')
    trace = place.path / 'trace'
    done = place.verb('shard', 'run', '1', before=('strace', '-ttt', '-qqq', '-e', 'trace=fdatasync', '-o', str(trace)))
    assert done.exit == 0
    first, *_ = [float(line.split()[0]) for line in trace.read_text().splitlines()]
    assert first < float(place.ran()[0])


# -- read-only -----------------------------------------------------------------------------------


def test_the_run_directory_is_read_only(place: Place) -> None:
    place.run(journey('one', 'echo ran >> @LEDGER@'))
    run = place.path / 'run'
    with mounted(run, '--bind', str(run)):
        subprocess.run(['mount', '-o', 'remount,ro,bind', str(run)], check=True)
        afresh, again = place.run(run_dir=run / 'another'), place.resume()
        shard = place.verb('shard', 'run', '1')
        shown = place.verb('report', 'run')
    for refused in (afresh, again):
        assert refused.exit == 2
        assert 'Read-only file system' in refused.err
        assert 'Traceback' not in refused.err
    assert (shard.exit, shown.exit, place.ran()) == (3, 3, ['ran'])
    assert 'passed' in shown.out


def test_the_temporary_folder_is_read_only(place: Place) -> None:
    """Then another one is taken."""
    with mounted(place.tmp, '--bind', str(place.tmp)):
        subprocess.run(['mount', '-o', 'remount,ro,bind', str(place.tmp)], check=True)
        done = place.run('--keep', 'none', journey('one', 'echo $DOGFOOD_DATA_DIR >> @LEDGER@'))
    assert (done.exit, done.verdicts) == (0, {'one': 'passed'})
    assert place.ran()[0].startswith('/tmp/dogfood-')
    assert not Path(place.ran()[0]).parents[1].exists()


def test_no_program_can_be_run_in_the_temporary_folder(place: Place) -> None:
    """As on hardened machines: another one is taken; the product's own programs in the chain are run."""
    tool = {'files': {'tool': '#!/bin/sh\necho works\n'}}
    with mounted(place.tmp, '-t', 'tmpfs', '-o', 'noexec', 'tmpfs'):
        done = place.run('--keep', 'none', journey('one', './tool', expect={'stdout': {'equals': 'works'}}, **tool))
    assert (done.exit, done.verdicts) == (0, {'one': 'passed'})


def test_no_program_can_be_run_in_any_temporary_folder(place: Place) -> None:
    need_root()
    need_commands('unshare', 'mount')
    if any(HOUSE.is_relative_to(folder) for folder in ('/tmp', '/var/tmp')):
        pytest.skip('the checkout is in a temporary folder itself')
    hardened = 'for at in /tmp /var/tmp; do mount --bind $at $at && mount -o remount,bind,noexec $at; done; exec "$@"'
    done = place.run(
        journey('one', './tool', files={'tool': '#!/bin/sh\necho works\n'}),
        journey('two', 'touch tool; ./tool || exit 3'),
        before=('unshare', '-m', 'bash', '-ec', hardened, '-'),
    )
    assert (done.exit, done.verdicts) == (1, {'one': 'infra', 'two': 'failed'})
    assert 'mounted noexec' in done.causes['one']


def test_the_run_directory_is_a_file_or_belongs_to_nobody(place: Place) -> None:
    file = place.path / 'file'
    file.touch()
    one = journey('one', 'echo ran >> @LEDGER@')
    for run_dir in (file, file / 'below', Path('/proc/run'), Path('/dev/null')):
        done = place.run(one, run_dir=run_dir)
        assert (done.exit, place.ran()) == (2, [])
        assert str(run_dir) in done.err
        assert 'Traceback' not in done.err


# -- missing -------------------------------------------------------------------------------------


def only(place: Place, *names: str) -> str:
    """A PATH that holds these programs and no others."""
    folder = place.path / 'only'
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found
        (folder / name).symlink_to(found)
    return str(folder)


ALL_BUT_BASH_AND_MAKE = ('dirname', 'env', 'cat', 'wc', 'sleep', 'sh')


def test_bash_is_missing(place: Place) -> None:
    """The shards cannot start, nor could their steps."""
    bash = shutil.which('bash')
    assert bash
    path = only(place, *ALL_BUT_BASH_AND_MAKE, 'make')
    first = place.run(journey('one', 'echo ran >> @LEDGER@'), before=(bash,), environment={'PATH': path})
    assert (first.exit, first.verdicts, place.ran()) == (3, {'one': 'infra'}, [])
    shard = place.verb('shard', 'run', '1', PATH=path)
    told = place.verb('report', 'run')
    assert (shard.exit, told.verdicts) == (0, {'one': 'infra'})
    assert 'bash' in told.causes['one']
    assert place.resume().verdicts == {'one': 'passed'}


def test_make_is_missing(place: Place) -> None:
    path = only(place, *ALL_BUT_BASH_AND_MAKE, 'bash')
    done = place.run(journey('one', 'true'), environment={'PATH': path})
    assert (done.exit, done.out) == (2, '')
    assert done.err == 'dogfood.sh: make is not installed (apt-get install make)\n'
    assert not (place.path / 'run').exists()


# -- the clock -----------------------------------------------------------------------------------


def test_the_clock_is_set_back(place: Place) -> None:
    need_commands('faketime')
    first = place.run(
        journey('one', 'echo x'), journey('held', 'dogfood-infra later'), before=('faketime', '-f', '-3d')
    )
    assert (first.exit, first.verdicts) == (3, {'one': 'passed', 'held': 'infra'})
    again = place.resume(before=('faketime', '-f', '-400d'))
    assert (again.exit, again.verdicts) == (3, {'one': 'passed', 'held': 'infra'})


@pytest.mark.parametrize('jump', ['-2d', '+2d'])
def test_the_clock_jumps_while_a_step_runs(place: Place, jump: str) -> None:
    need_commands('faketime')
    library = subprocess.run(['faketime', '-f', '+0', 'printenv', 'LD_PRELOAD'], capture_output=True, text=True).stdout
    clock = place.path / 'clock'
    clock.write_text('+0')
    done = place.run(
        '--deadline',
        '1h',
        journey('one', f'echo {jump} > {clock}; sleep 0.3', timeout='5s'),
        journey('settle', 'echo >> tries; wc -l < tries', expect={'stdout': {'contains': '3'}, 'within': '5s'}),
        journey('quick', 'true', expect={'exit': 0, 'latency': '3s'}),
        environment={
            'LD_PRELOAD': library.strip(),
            'FAKETIME_TIMESTAMP_FILE': str(clock),
            'FAKETIME_NO_CACHE': '1',
            'FAKETIME_DONT_FAKE_MONOTONIC': '1',
        },
        shards=1,
    )
    if 'Invalid argument' in done.out + done.err:
        pytest.skip('libfaketime refused a sleep of ours (EINVAL), which no clock does')
    assert done.bundle, done.out + done.err
    assert (done.exit, all_of(done.verdicts)) == (0, PASSED), done.causes
    assert all(0 <= said['duration_seconds'] < 5 for said in done.journeys.values())
    events = [event['time'] for event in done.events() if 'time' in event]
    assert max(events)[:10] > min(events)[:10]


# -- time that the machine took ------------------------------------------------------------------


def test_the_run_is_stopped_for_a_while(place: Place) -> None:
    """Ctrl-Z and fg: steps have sessions of their own and go on, but nobody was there to see when they ended."""
    live = place.start(
        journey('quick', 'echo go >> @LEDGER@; sleep 0.5', expect={'exit': 0, 'latency': '2s'}), shards=1
    )
    shard = live.shard()
    live.until(place.ran)
    process.send(shard, signal.SIGSTOP)
    time.sleep(3.5)  # longer than the latency, and than what a busy machine is forgiven
    process.send(shard, signal.SIGCONT)
    done = live.wait()
    assert done.verdicts['quick'] in ('infra', 'passed')


def test_what_settles_while_the_run_is_stopped(place: Place) -> None:
    """The last sample is one of after the time was up, not of long before."""
    settles = 'test -e door || { (sleep 1; echo > door) >/dev/null 2>&1 & echo go >> @LEDGER@; exit 1; }'
    live = place.start(journey('settles', settles, expect={'exit': 0, 'within': '1500ms'}), shards=1)
    shard = live.shard()
    live.until(place.ran)
    process.send(shard, signal.SIGSTOP)
    time.sleep(3)  # until the time to settle is over
    process.send(shard, signal.SIGCONT)
    assert live.wait().verdicts == {'settles': 'passed'}


def test_the_time_to_settle_on_a_busy_machine(place: Place) -> None:
    """Up to four times as long, as a step has: whoever should settle had no processor to do it with."""
    need('pressure stall information', Path('/proc/pressure/cpu').exists())
    need_commands('taskset', 'timeout')
    cpu = min(os.sched_getaffinity(0))
    busy = [
        subprocess.Popen(('taskset', '-c', str(cpu), 'timeout', '20', 'yes'), stdout=subprocess.DEVNULL) for _ in 'abc'
    ]
    try:
        done = place.run(journey('never', 'exit 1', expect={'exit': 0, 'within': '500ms'}))
    finally:
        for one in busy:
            one.terminate()
            one.wait()
    assert done.verdicts == {'never': 'failed'}
    assert 0.9 < done.journeys['never']['duration_seconds'] < 20
