"""Real sessions on a scratch server: started once, ended whole, phase by phase."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.common import process
from hack.orchestrator.runtime import keeper, supervisor
from hack.orchestrator.runtime.sightings import Project
from hack.orchestrator.runtime.tmux import Pane
from tests.python.orchestrator.lives import HEAD, TWO, Life, eventually, kill, life
from tests.python.orchestrator.projects import PAIR_FILES

PHASES = """[loop]
kickoff_template = "kickoff.md"
handoff = ["claim(", "review("]
on_complete = "wrap-up"
[[loop.phases]]
id = "one"
plan = "plan-one.md"
status = "STATUS-one.md"
models = {builder = "opus"}
[[loop.phases]]
id = "two"
plan = "plan-two.md"
status = "STATUS-two.md"
"""
# Writes what it is told, and what is typed, where the test can read it.
SCRIBE = """[backend.scribe]
bin = "sh"
flags = ["-c", "echo \\"$0 $*\\" >>told; exec cat"]
model_flag = "--model"
prompt_delivery = "arg"
"""
PAIR = (
    HEAD
    + SCRIBE
    + '[[agent]]\nname = "builder"\nkind = "loop"\nrole = "builder"\nbackend = "scribe"\n'
    + '[[agent]]\nname = "adversary"\nkind = "loop"\nrole = "adversary"\nbackend = "scribe"\n'
    + '[[agent]]\nname = "wrap-up"\nkind = "task"\nbackend = "once"\n'
    + '[backend.once]\nbin = "sh"\nflags = ["-c", "echo wrapped up >>told"]\n'
    + PHASES
)


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('ao')  # short: a socket's path has but 107 bytes


@pytest.fixture
def two(folder: Path) -> Iterator[Life]:
    with life(folder) as there:
        yield there


@pytest.fixture
def pair(folder: Path) -> Iterator[Life]:
    with life(folder, PAIR, PAIR_FILES) as there:
        yield there


def told(there: Life) -> list[str]:
    path = there.folder / 'told'
    return path.read_text().splitlines() if path.exists() else []


def states(there: Life) -> set[str]:
    return set(there.there.states().values())


def test_a_scratch_life_and_the_neighbours_never_move(two: Life, folder: Path) -> None:
    beside = [*two.there.project.tmux.command()[:1], '-S', f'{folder}/n', '-f', '/dev/null']
    subprocess.run([*beside, 'new-session', '-d', '-s', 't-one', 'sleep', '60'], check=True, env=two.there.environment)
    listing = [*beside, 'list-panes', '-a', '-F', '#{session_name} #{pane_pid} #{pane_dead}']
    before = subprocess.check_output(listing, env=two.there.environment)
    try:
        assert states(two) == {'stopped'}
        two.up()
        assert states(two) == {'RUNNING'}
        assert two.verb('down')[0] == 0
        assert states(two) == {'stopped'}
        assert two.alive('one') == two.alive('one-more') == two.alive('watchdog') == []
        assert subprocess.check_output(listing, env=two.there.environment) == before
    finally:
        kill(int(subprocess.check_output([*beside, 'display-message', '-p', '#{pid}'], env=two.there.environment)))


def test_up_uses_what_is_there_and_starts_what_is_not(two: Life) -> None:
    two.up('one')
    first = two.pid('one')
    assert 'one-more' not in two.panes()
    two.up()
    assert two.pid('one') == first
    # What tmux has just forked shows its environment once it has become the program.
    eventually(lambda: two.alive('one-more') == [two.pid('one-more')])


def test_down_of_one_ends_exactly_that_one_and_it_stays_down(two: Life) -> None:
    two.up()
    other = two.pid('one-more')  # `one` is the start of its name
    assert two.verb('down', 'one')[0] == 0
    kill(other)
    eventually(lambda: two.is_back('one-more', other))  # the watchdog has looked since
    assert 'one' not in two.panes()
    assert two.alive('one') == []


def test_a_disabled_agent_is_left_and_refused_by_name(folder: Path) -> None:
    with life(folder, TWO + 'enabled = false\n') as there:
        assert there.verb('up', 'one-more')[0] == 2
        assert there.panes() == {}
        there.up()
        assert there.there.states()['one-more'] == 'stopped (disabled)'
        assert there.there.states()['one'] == 'RUNNING'


@pytest.mark.parametrize('verb', ['up', 'down', 'logs', 'clear-backoff'])
def test_a_name_misspelt_is_refused_with_a_suggestion(two: Life, verb: str) -> None:
    status, _, err = two.verb(verb, 'oen')
    assert (status, two.calls()) == (2, [])
    assert "no agent is called 'oen' (did you mean 'one'?)" in err


def test_a_program_that_is_not_there_starts_nothing(folder: Path) -> None:
    with life(folder, TWO + 'backend = "claude"\n[backend.claude]\nbin = "no-such-claude"\n') as there:
        status, _, err = there.verb('up')
        assert (status, there.panes()) == (2, {})
        assert err.endswith("[backend.claude]: no program 'no-such-claude' on PATH (install it, or mend bin)\n")


def test_a_state_file_from_the_future_starts_nothing(two: Life) -> None:
    state = two.folder / 's/state'
    state.mkdir(parents=True)
    (state / 'done-one.json').write_text('{"version": 2}')
    status, _, err = two.verb('up')
    assert (status, two.panes()) == (2, {})
    assert 'done-one.json: version 2 is from the future, this is 1' in err


@pytest.mark.parametrize(
    ('name', 'holds', 'problem'),
    [
        ('backoff-one.json', b'{"version": 1, "retry_at": []}', 'retry_at is [], which is no number'),
        ('phase-idx', b'\xff', 'is no text (run `phase set N`)'),
    ],
)
def test_a_state_file_with_other_things_in_it_is_told_in_one_line(
    two: Life, name: str, holds: bytes, problem: str
) -> None:
    state = two.folder / 's/state'
    state.mkdir(parents=True)
    (state / name).write_bytes(holds)
    status, out, err = two.verb('status')
    assert (status, err.count('\n'), out.count('stopped')) == (3, 1, 3)
    assert f'{name}: {problem}' in err


@pytest.mark.parametrize(('says', 'problem'), [('tmux 2.9a', 'tmux 2.9a is too old'), (None, 'not found on PATH')])
def test_no_tmux_or_one_too_old_is_one_line(two: Life, tmp_path: Path, says: str | None, problem: str) -> None:
    for program in ('sleep', 'sh'):
        (tmp_path / program).symlink_to('/bin/sh')
    if says:
        (tmp_path / 'tmux').write_text(f'#!/bin/sh\necho {says}\n')
        (tmp_path / 'tmux').chmod(0o755)
    status, _, err = two.verb('up', PATH=str(tmp_path))
    assert (status, len(err.splitlines())) == (2, 1)
    assert problem in err


# -- kickoffs and phases ---------------------------------------------------------------------


def test_a_kickoff_is_on_the_command_line_with_the_model_of_the_phase(pair: Life) -> None:
    pair.up('builder')
    eventually(lambda: told(pair) != [])
    assert told(pair) == [
        '--model opus You are the builder of one: read plans/plan-one.md, write docs/STATUS-one.md. Not a slot: {x} {}.'
    ]
    assert pair.verb('render', 'builder')[1].strip() == told(pair)[0].removeprefix('--model opus ')


def test_a_kickoff_is_typed_once_its_program_listens(folder: Path) -> None:
    own = '[backend.late]\nbin = "sh"\nflags = ["-c", "sleep 0.5; echo ask me; cat"]\nprompt_delivery = "ping"\n'
    own += 'ready = "ask me"\n[[agent]]\nname = "slow"\nkind = "persistent"\nbackend = "late"\nprompt = "p.md"\n'
    with life(folder, HEAD + own, {'p.md': 'first line\nsecond line\n'}) as there:
        there.up()
        eventually(lambda: 'second line' in there.screen('slow'))
        shown = [line for line in there.screen('slow').splitlines() if line]
        assert shown.index('ask me') < shown.index('first line')


def test_a_done_marker_advances_the_phase_once_and_the_end_runs_its_task_once(pair: Life) -> None:
    pair.up()
    first = pair.pid('builder')
    status = pair.folder / 'docs/STATUS-one.md'
    status.parent.mkdir()
    status.write_text('write ## DONE when it is done\n')  # no line of its own
    kill(first)
    eventually(lambda: pair.is_back('builder', first))
    assert pair.verb('phase', 'show')[1] == 'phase: one [1/2] plan=plan-one.md (in progress)\n'
    status.write_text('all accepted\n## DONE\n')
    eventually(lambda: any('adversary of two' in line for line in told(pair)))
    assert pair.verb('status')[1].startswith('phase: two [2/2] plan=plan-two.md (in progress)\n')
    assert 'wrapped up' not in told(pair)
    (pair.folder / 'docs/STATUS-two.md').write_text('## DONE\n')
    eventually(lambda: pair.there.states()['wrap-up'] == 'stopped' and 'wrapped up' in told(pair))
    assert pair.verb('phase', 'show')[1] == 'phase: two [2/2] plan=plan-two.md (complete)\n'
    kill(pair.pid('watchdog'))  # a new watchdog finds it done, and does not do it again
    eventually(lambda: pair.said().count('watching') == 2)
    builder = pair.pid('builder')
    kill(builder)
    eventually(lambda: 'builder' not in pair.panes())  # nobody is brought back for a sequence that is over
    assert told(pair).count('wrapped up') == 1


def test_up_starts_at_the_first_phase_unless_it_is_to_resume(pair: Life) -> None:
    assert pair.verb('phase', 'set', 'two')[1].startswith('phase: two [2/2]')
    assert (pair.folder / 's/state/phase-idx').read_text() == '1\n'
    pair.up('builder', RESUME_PHASE='1')
    assert pair.verb('status')[1].startswith('phase: two')
    pair.up('adversary')  # the loop is under way
    assert pair.verb('status')[1].startswith('phase: two')
    pair.verb('down')
    pair.up()
    assert pair.verb('status')[1].startswith('phase: one')


def test_of_a_sequence_that_is_complete_nothing_is_resumed(pair: Life) -> None:
    pair.verb('phase', 'set', 'two')
    (pair.folder / 's/state/SEQUENCE-COMPLETE').touch()
    pair.up(RESUME_PHASE='1')
    assert set(pair.panes()) == {'watchdog'}
    assert pair.verb('phase', 'show')[1].endswith('(complete)\n')


def test_setting_the_phase_starts_the_loops_anew(pair: Life) -> None:
    pair.up('builder')
    eventually(lambda: len(told(pair)) == 1)
    assert pair.verb('phase', 'next')[0] == 0
    eventually(lambda: len(told(pair)) == 2)
    assert told(pair)[1].startswith('You are the builder of two')
    assert pair.verb('phase', 'set', '3')[2] == 'phase set: 3 is no phase (1 to 2, or one, two)\n'


def test_a_commit_that_hands_off_wakes_the_other_loop(pair: Life) -> None:
    def commit(subject: str) -> None:
        command = ['git', '-C', str(pair.folder), '-c', 'user.name=t', '-c', 'user.email=t@example.org', 'commit']
        subprocess.run([*command, '-q', '--allow-empty', '-m', subject], check=True)

    subprocess.run(['git', 'init', '-q', str(pair.folder)], check=True)
    commit('claim(zero): history')
    pair.up()
    eventually(lambda: (pair.folder / 's/state/handoff.json').exists())
    commit('claim(one): it works')
    eventually(lambda: 'claim(one): it works' in pair.screen('adversary'))
    commit('review(one): it does not')
    eventually(lambda: 'review(one): it does not' in pair.screen('builder'))
    assert 'claim(' not in pair.screen('builder')
    assert 'zero' not in pair.screen('adversary')


def test_an_override_lasts_for_the_run_and_over_its_heals(pair: Life) -> None:
    pair.up('adversary', AGENT_MODEL_adversary='haiku')
    eventually(lambda: len(told(pair)) == 1)
    first = pair.pid('adversary')
    kill(first)
    eventually(lambda: len(told(pair)) == 2)
    assert all(line.startswith('--model haiku ') for line in told(pair))
    assert ' haiku ' in pair.verb('status')[1]
    pair.verb('down', 'adversary')
    pair.up('adversary')
    eventually(lambda: len(told(pair)) == 3)
    assert told(pair)[2].startswith('You are')


def test_who_came_up_since_the_last_look_is_not_started_again(pair: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.up('adversary')
    pair.verb('down', 'adversary')
    look, came_up = supervisor.look, []

    def slow_look(here: Project) -> dict[str, Pane]:
        panes = look(here)
        monkeypatch.undo()
        pair.up('adversary')
        came_up.append(pair.pid('adversary'))
        return panes

    monkeypatch.setattr(supervisor, 'look', slow_look)
    keeper.Keeper(pair.there.project, ()).tick(heavy=False, signals=True)
    signal.set_wakeup_fd(-1)
    pane = pair.panes()['adversary']
    assert ([pane.pid], pane.dead) == (came_up, False)


def test_the_configuration_is_read_anew_and_a_bad_edit_keeps_the_last_good_one(two: Life) -> None:
    two.up()
    eventually(lambda: 'watching' in two.said())
    two.there.config.write_text(TWO.replace('kind', 'kidn', 1))
    eventually(lambda: "unknown key 'kidn' (did you mean 'kind'?): going on with what it was" in two.said())
    first = two.pid_by_hand('t-one')
    kill(first)
    eventually(lambda: two.pid_by_hand('t-one') not in (0, first))
    two.there.config.write_text(TWO.replace('[[agent]]', '[[agent]]\nwatch = "none"', 1))
    eventually(lambda: 'read anew' in two.said())
    kill(two.pid('one'), other := two.pid('one-more'))
    eventually(lambda: two.is_back('one-more', other))
    assert two.there.states()['one'] == 'RUNNING (dead)'


# -- endings ---------------------------------------------------------------------------------


def test_a_task_that_is_done_stays_so_until_it_is_asked_for(pair: Life) -> None:
    pair.up('wrap-up')
    eventually(lambda: (pair.folder / 's/state/done-wrap-up.json').exists() and 'wrap-up' not in pair.panes())
    pair.up()
    assert told(pair).count('wrapped up') == 1
    pair.up('wrap-up')
    eventually(lambda: told(pair).count('wrapped up') == 2)


def test_a_crash_loop_ends_when_its_back_off_is_cleared(folder: Path) -> None:
    own = HEAD.replace('backoff_base', 'crash_loop_after = 2\nbackoff_base') + SCRIBE
    own += '[[agent]]\nname = "bad"\nkind = "persistent"\nbackend = "bad"\n'
    own += '[backend.bad]\nbin = "sh"\nflags = ["-c", "echo run >>told; exit 3"]\n'
    with life(folder, own) as there:
        there.up()
        eventually(lambda: there.there.states()['bad'] == 'RUNNING (dead, crash-loop)')
        assert len(told(there)) == 3
        assert 'bad: crashed 3 times in a row: left down until clear-backoff' in there.said()
        assert (
            'crash loop: bad: 3 times in a row: see `logs bad`, mend it, then `clear-backoff`'
            in there.verb('doctor')[1]
        )
        assert '\n\n\n' not in there.verb('logs', 'bad')[1]
        assert there.verb('clear-backoff', 'bad')[0] == 0
        eventually(lambda: len(told(there)) == 5)


def test_what_an_agent_has_shown_is_kept_over_its_incarnations(folder: Path) -> None:
    own = HEAD + '[[service]]\nname = "talk"\ncommand = "echo I am $$; sleep infinity"\n'
    with life(folder, own) as there:
        there.up()
        first = there.pid('talk')
        eventually(lambda: f'I am {first}' in there.verb('logs', 'talk')[1])
        kill(first)
        eventually(lambda: there.is_back('talk', first))
        second = there.pid('talk')
        eventually(lambda: f'I am {second}' in there.verb('logs', 'talk')[1])
        assert f'I am {first}' in there.verb('logs', 'talk')[1]


def test_a_stalled_agent_is_nudged_then_rebooted(folder: Path) -> None:
    own = HEAD.replace('backoff_base', 'stall_idle = 0.5\nstall_grace = 1.5\nbackoff_base')
    with life(folder, own + '[[agent]]\nname = "idle"\nkind = "persistent"\nwatch = "heal+stall"\n') as there:
        there.up()
        first = there.pid('idle')
        eventually(lambda: there.there.states()['idle'] == 'RUNNING (stalled)')
        assert there.pid('idle') == first
        assert 'Nothing has happened here' in there.screen('idle')
        eventually(lambda: there.is_back('idle', first))


def test_a_limited_agent_is_left_alone_then_probed(folder: Path) -> None:
    own = HEAD.replace('backoff_base', 'limit_probe_fallback = 1.5\nbackoff_base')
    own += '[backend.spent]\nbin = "sh"\nflags = ["-c", "echo usage limit; read line; clear; echo at work; cat"]\n'
    own += 'limit_patterns = ["usage limit"]\n[[agent]]\nname = "spent"\nkind = "persistent"\nbackend = "spent"\n'
    with life(folder, own) as there:
        there.up()
        eventually(lambda: there.there.states()['spent'] == 'RUNNING (limited)')
        eventually(lambda: 'at work' in there.screen('spent'))
        eventually(lambda: there.there.states()['spent'] == 'RUNNING')
        said = [line.partition('Z spent: ')[2] for line in there.said().splitlines() if 'Z spent: ' in line]
        assert said[0].startswith('usage limit: left alone for ')
        assert said[1:] == [
            'probe: the usage limit should be over',
            'the usage limit is over',
        ]


def test_a_failing_liveness_command_reboots(folder: Path) -> None:
    own = HEAD + '[[agent]]\nname = "one"\nkind = "persistent"\nliveness = "test ! -e hangs"\n'
    with life(folder, own) as there:
        there.up()
        first = there.pid('one')
        (folder / 'hangs').touch()
        eventually(lambda: there.is_back('one', first))
        (folder / 'hangs').unlink()


# -- the user's own server -------------------------------------------------------------------


def test_on_the_users_server_only_our_own_sessions_are_touched(folder: Path) -> None:
    own = TWO.replace('backend = "demo"', 'backend = "demo"\nsocket = "default"', 1)
    with life(folder, own) as there:
        there.there.environment['TMUX_TMPDIR'] = str(folder)
        mux = there.there.project.tmux
        mux.socket.parent.mkdir(mode=0o700)
        server_of_mine = [
            'tmux',
            '-S',
            str(mux.socket),
            '-f',
            '/dev/null',
            'new-session',
            '-d',
            '-s',
            'mine',
            'sleep',
            '60',
        ]
        subprocess.run(server_of_mine, env=there.there.environment, check=True)
        mux.run('new-session', '-d', '-s', 't-stranger', 'sleep', '60')
        server = mux.panes()['mine'].server
        try:
            before = {name: pane for name, pane in mux.panes().items() if name in ('mine', 't-stranger')}
            there.up()
            assert states(there) == {'RUNNING'}
            assert there.verb('down')[0] == 0
            assert mux.panes() == before
        finally:
            kill(server)


def test_no_trace_of_the_session_we_are_called_in_is_used(two: Life) -> None:
    status, out, _ = two.verb('status', TMUX='/nowhere/else,1,0')
    assert (status, 'stopped' in out) == (0, True)
    two.up(TMUX='/nowhere/else,1,0', TMUX_PANE='%7')
    assert b'/nowhere/else' not in process.environment_of(two.pid('one'))
    assert os.fsencode(two.folder) in process.environment_of(two.pid('one'))
