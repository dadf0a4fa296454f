"""Every way a journey of the truth table can go, each with what is true of it by its very making.

An act is the decisive step of a journey: a script, what it expects, and what that must come to.
`{id}` in a script stands for the journey, `{token}` for a token it is about.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from tests.trust.model import Fate

SOUND: Final = Fate()
UNMEASURED: Final = Fate('infra')


class Act(NamedTuple):
    run: str
    fate: Fate = SOUND
    expect: Mapping[str, Any] = {}  # beside the exit status
    step: Mapping[str, Any] = {}
    journey: Mapping[str, Any] = {}
    plain: bool = False  # the script stands alone, not inside a pipeline or a substitution
    of_establisher: bool = False  # it is about the token that its journey, and no other one, establishes
    probe: str = ''  # of that token
    put: str = 'put'  # how that token's text is kept


DONE: Final[Mapping[str, Any]] = {
    'stdout': {'equals': '{id} is done'},
    'files': {'out.txt': {'equals': '{id} was here\n'}, 'stray.txt': {'exists': False}},
}
SAYS_DONE: Final[Mapping[str, Any]] = {'stdout': {'contains': '{id} is done'}}
REFUSED: Final[Mapping[str, Any]] = {'exit': 'nonzero', 'stderr': {'contains': 'against the rules'}}


def _work(fault: str = '', fate: Fate = SOUND, expect: Mapping[str, Any] = DONE, **said: Any) -> Act:
    return Act(f'gadget work {{id}} {fault}'.rstrip(), fate, expect, **said)


def _broken(fault: str, finding: str, expect: Mapping[str, Any] = DONE, **said: Any) -> Act:
    return _work(fault, Fate('failed', finding), expect, **said)


def _accepted(fault: str, finding: str) -> Act:
    return Act(f'gadget refuse {{id}} {fault}', Fate('failed', finding), REFUSED)


PLAIN: Final = _work()

# The product keeps its word.
SOUND_ACTS: Final[Mapping[str, Act]] = {
    'plain': PLAIN,
    'refusal': Act('gadget refuse {id}', expect=REFUSED),
    'refusal with words of alarm': Act(
        'gadget refuse {id}', expect={'exit': 3, 'stderr': {'contains': ['ERROR', 'FATAL'], 'not_contains': 'panic'}}
    ),
    'output beyond what is kept': _work('flood', expect=SAYS_DONE),
    'late pass': _work('sometimes-2', Fate(flaky=True), journey={'retries': 1}),
    'pass at the third attempt': _work('sometimes-3', Fate(flaky=True), journey={'retries': 2}),
    'settles': _work('soon-3', expect={**DONE, 'within': '20s'}),
    'leaves a daemon': _work('daemon', plain=True),
    'leaves a daemon that holds the output': _work('daemon-aside', plain=True),
    'quick enough': _work(expect={**DONE, 'latency': '20s'}),
}

# The product breaks it.
PRODUCT_ACTS: Final[Mapping[str, Act]] = {
    'exit 1': _broken('exit-1', 'exit'),
    'exit 125': _broken('exit-125', 'exit'),
    'exit 126 of its own': _broken('exit-126', 'exit'),
    'exit 127 of its own': _broken('exit-127', 'exit'),
    'exit 127 and the words of a shell': _broken('not-found-words', 'exit'),
    'a sub-command missing in its script': _broken('no-sub-command', 'exit'),
    'a sub-command missing in its bash script': _broken('bash-sub-command', 'exit'),
    'a sub-command missing behind exec': _broken('exec-sub-command', 'exit'),
    'a sub-command missing in a script that names no shell': _broken('bare-script', 'exit'),
    'wrong output': _broken('wrong-output', 'stdout'),
    'no output': _broken('no-output', 'stdout'),
    'more output than promised': _broken('two-answers', 'stdout'),
    'words where silence was promised': _broken('says-hm', 'stderr', {**DONE, 'stderr': {'equals': ''}}),
    'wrong file': _broken('wrong-file', 'files'),
    'no file': _broken('no-file', 'files'),
    'a file too many': _broken('stray-file', 'files'),
    'SEGV': _broken('signal-SEGV', 'crash'),
    'KILL': _broken('signal-KILL', 'crash'),
    'ABRT': _broken('signal-ABRT', 'crash'),
    'TERM': _broken('signal-TERM', 'crash'),
    'PIPE': _broken('signal-PIPE', 'crash', plain=True),
    'traceback': _broken('traceback', 'crash'),
    'panic': _broken('panic', 'crash'),
    'panic and exit 2': _broken('go-panic', 'crash'),
    'sanitizer': _broken('sanitizer', 'crash'),
    'traceback in what is not kept': _broken('late-traceback', 'crash', SAYS_DONE, plain=True),
    'refusal that exits 0': _accepted('exit-0', 'exit'),
    'refusal by 126': _accepted('exit-126', 'exit'),
    'refusal by 127': _accepted('exit-127', 'exit'),
    'refusal by death': _accepted('signal-SEGV', 'crash'),
    'refusal with a traceback': _accepted('traceback', 'crash'),
    'hang': _broken('hang', 'timeout', step={'timeout': '400ms'}),
    'hang deaf to TERM': _broken('hang-on', 'timeout', step={'timeout': '400ms'}),
    'hang in a child': _broken('hang-aside', 'timeout', step={'timeout': '400ms'}),
    'hang and flood': _broken('flood-and-hang', 'timeout', step={'timeout': '400ms'}),
    'slow': _work('slow', Fate('failed', 'latency', needs_idle_machine=True), {**DONE, 'latency': '100ms'}, plain=True),
    'never settles': _broken('soon-999', 'stdout', {**DONE, 'within': '150ms'}),
    'fails every attempt': _broken('sometimes-999', 'exit', journey={'retries': 2}),
    'passes one attempt too late': _broken('sometimes-3', 'exit', journey={'retries': 1}),
    'broken invariant': _broken('corrupt', 'invariant'),
    'capability not there': _work(
        fate=Fate('failed', 'capability-lost'), of_establisher=True, probe='gadget has {token}', put='pretend-to-put'
    ),
}

# The harness cannot measure: the product would have kept its word.
HARNESS_ACTS: Final[Mapping[str, Act]] = {
    name: Act(run, UNMEASURED, DONE, plain=True)
    for name, run in {
        'no such command': 'no-such-tool --version\ngadget work {id}',
        'no such command after': 'gadget work {id}\nno-such-tool',
        'no such command in a pipeline': 'gadget work {id} | no-such-tool',
        'no such command in a substitution': 'gadget work "$(no-such-tool)"',
        'no such command in a function': 'f() { no-such-tool; }; gadget work {id} && f',
        'no such command in a subshell': '(cd / && no-such-tool)\ngadget work {id}',
        'no such command as a condition': 'if ! no-such-tool; then gadget work {id}; fi',
        'no such command behind exec': 'gadget work {id}\nexec no-such-tool',
        'says that it cannot measure': 'gadget work {id}; dogfood-infra "no clock here"',
        'says so after a failure': 'gadget work {id} exit-1 || dogfood-infra "the network is down"',
        'says so inside a substitution': 'said=$(dogfood-infra "no clock here"); gadget work {id}',
        'its own pipeline closed early': "yes '{id} is done' | head -1",
    }.items()
} | {
    'no such command in a refusal': Act('no-such-tool {id}', UNMEASURED, {'exit': 'nonzero'}, plain=True),
    'no such command in a probe': _work(fate=UNMEASURED, of_establisher=True, probe='no-such-tool {token}'),
}

ABSENT: Final = Act('gadget work {id}', Fate('skipped', at_the_door=True), DONE, journey={'needs': ['no-such-product']})
SAYS_SKIP: Final = Act('gadget work {id} exit-1 || dogfood-skip "not on this machine"', Fate('skipped'), DONE)
ENVIRONMENT_ACTS: Final[Mapping[str, Act]] = {'absent need': ABSENT, 'says that it skips': SAYS_SKIP}

# A file of 9 MB: too large where the run may not write so much, or has no room for it.
TIDY: Final = _work('tidy-big')  # away again where it cannot be written
BIG_ACTS: Final = (_work('big'), _work('deaf-big'), TIDY)


class Spoiler(NamedTuple):
    """A journey that passes, and after which those who require `{token}` come to `fate`."""

    run: str
    fate: Fate
    probe: str = ''


_MARKER: Final = '"$DOGFOOD_CAPABILITIES/{token}.json"'

SPOILERS: Final[Mapping[str, Spoiler]] = {
    name: Spoiler(f'{run}; gadget work {{id}}', UNMEASURED)
    for name, run in {
        'marker deleted': f'rm {_MARKER}',
        'marker emptied': f': >{_MARKER}',
        'marker cut short': f'truncate -s 40 {_MARKER}',
        'marker of another chain': f'sed -i \'s/"chain": "/&other-/\' {_MARKER}',
        'marker of another attempt': f'sed -i \'s/"chain_attempt": /&9/\' {_MARKER}',
        'marker of another run': f'sed -i \'s/"run": "/&2019/\' {_MARKER}',
        'marker under a wrong seal': f'sed -i \'s/"seal": "../&00/\' {_MARKER}',
        'marker made a link to nowhere': f'ln -sf /nowhere {_MARKER}',
        'marker of no object': f'echo 17 >{_MARKER}',
        'work folder taken': 'for victim in {victims}; do : >"${DOGFOOD_DATA_DIR%/data}/work/$victim"; done',
    }.items()
} | {
    'capability lost between journeys': Spoiler(
        'gadget forget {token}; gadget work {id}', Fate('infra', 'capability-lost'), 'gadget has {token}'
    )
}
# The product forgets what it kept, and no probe stands between.
FORGETS: Final = Spoiler('gadget forget {token}; gadget work {id}', Fate('failed', 'exit'))
