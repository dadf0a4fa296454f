"""Tables: what was expected and seen → the findings, word for word."""

import json
import re
from collections.abc import Sequence
from signal import Signals
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.dogfood.judging import oracles
from hack.dogfood.judging.oracles import FileSeen, Seen, Text
from hack.dogfood.model import Expect, Feature, FileCheck, Finding, FindingKind, TextCheck

FEATURE = Feature('shop', 'shop.yaml')
CRASHES = oracles.crash_scan(())
REFUSAL = 'a refusal: an exit status other than 0, 126 and 127, no death by a signal'
CUT = '\n[… 10 bytes were cut here …]\n'
UNSURE = '10 bytes of standard output were cut, what is left does not tell: '

Short = tuple[str, str, str]  # kind, expected, observed


def short(found: list[Finding]) -> list[Short]:
    assert all(entry['step'] is None and entry['evidence'] is None for entry in found)
    return [(entry['kind'], entry['expected'], entry['observed']) for entry in found]


def findings(expect: Expect, seen: Seen, allowed: tuple[str, ...] = ()) -> list[Short]:
    return short(oracles.findings(expect, seen, CRASHES, allowed))


def of_text(check: TextCheck, text: Text, kind: FindingKind = 'stdout', where: str = 'standard output') -> list[Short]:
    return short(oracles.check_text(kind, where, check, text))


# -- exit statuses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('wanted', 'status', 'signalled', 'found'),
    [
        (0, 0, False, None),
        (3, 3, False, None),
        (0, 1, False, ('exit', 'exit 0', 'exit 1')),
        (3, 0, False, ('exit', 'exit 3', 'exit 0')),
        (0, 126, False, ('exit', 'exit 0', 'exit 126')),
        (0, 127, False, ('exit', 'exit 0', 'exit 127')),
        (0, 128, False, ('exit', 'exit 0', 'exit 128')),
        (0, 139, False, ('crash', 'exit 0', 'death by signal SIGSEGV')),
        (0, 139, True, ('crash', 'exit 0', 'death by signal SIGSEGV')),
        (139, 139, True, None),
        (1, 134, False, ('crash', 'exit 1', 'death by signal SIGABRT')),
        (0, 163, False, ('exit', 'exit 0', 'exit 163')),  # there is no signal 35
        (0, 255, False, ('exit', 'exit 0', 'exit 255')),
        (0, None, False, None),
        ('nonzero', None, False, None),
        ('nonzero', 0, False, ('exit', REFUSAL, 'exit 0')),
        ('nonzero', 1, False, None),
        ('nonzero', 125, False, None),
        ('nonzero', 126, False, ('exit', REFUSAL, 'exit 126')),
        ('nonzero', 127, False, ('exit', REFUSAL, 'exit 127')),
        ('nonzero', 128, False, None),  # git's own for what is fatal
        ('nonzero', 129, False, None),  # and for a wrong option
        ('nonzero', 129, True, ('crash', REFUSAL, 'death by signal SIGHUP')),
        ('nonzero', 130, False, ('crash', REFUSAL, 'death by signal SIGINT')),
        ('nonzero', 137, False, ('crash', REFUSAL, 'death by signal SIGKILL')),
        ('nonzero', 255, False, None),
    ],
)
def test_exit(wanted: Any, status: int | None, signalled: bool, found: Short | None) -> None:
    assert findings(Expect(exit=wanted), Seen(status, 0.1, signalled=signalled)) == ([found] if found else [])


@pytest.mark.parametrize(
    ('status', 'signalled', 'name'),
    [
        (None, False, None),
        (0, False, None),
        (128, True, None),
        (129, False, None),
        (129, True, 'SIGHUP'),
        (130, False, 'SIGINT'),
        (141, False, 'SIGPIPE'),
        (159, False, 'SIGSYS'),
        (192, False, 'SIGRTMAX'),
        (193, False, None),
    ],
)
def test_signal_of(status: int | None, signalled: bool, name: str | None) -> None:
    assert oracles.signal_of(status, signalled) == name


# -- crash markers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    'line',
    [
        'Traceback (most recent call last):',
        "thread 'main' panicked at src/main.rs:2:5:",
        'panic: runtime error: index out of range',
        'bash: line 1:   77 Segmentation fault      (core dumped) shop',
        'bash: line 1:   77 Aborted                 (core dumped) shop',
        '/usr/bin/bash: line 12: 4711 Floating point exception shop',
        'bash: line 1: 7 Trace/breakpoint trap   shop',
        '==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x1',
        '==7==ERROR: HWAddressSanitizer: tag-mismatch',
        '==7==ERROR: LeakSanitizer: detected memory leaks',
        '==7==WARNING: MemorySanitizer: use-of-uninitialized-value',
        'WARNING: ThreadSanitizer: data race (pid=7)',
        'SUMMARY: UndefinedBehaviorSanitizer: undefined-behavior a.c:3:5',
    ],
)
def test_built_in_crash_markers(line: str) -> None:
    raw = f'before\n{line}\nafter\n'.encode()
    assert findings(Expect(), Seen(0, 0.1, out=Text(raw))) == [
        ('crash', 'no crash marker', f'on standard output: {line}')
    ]
    assert findings(Expect(), Seen(0, 0.1, err=Text(raw))) == [
        ('crash', 'no crash marker', f'on standard error: {line}')
    ]


@pytest.mark.parametrize(
    'line',
    [
        'Traceback (most recent call first)',
        'unpanicked at',
        'nobody panicked atop',
        'hispanic: no',
        'Panic: no',
        'Segmentation faults',
        'Aborted',
        'bash: line 1:   77 Terminated              shop',
        'bash: line 1:   77 Killed                  shop',
        'merge.c: line 7: 12 Abortedly',
        'ERROR: no such file',
        'FATAL: no such role',
        'ERROR: Sanitizer',
        'AddressSanitizer is fine',
        'NOERROR: AddressSanitizer',
        'ERROR: AddressSanitizers',
    ],
)
def test_honest_words_are_no_crash(line: str) -> None:
    assert findings(Expect(), Seen(0, 0.1, out=Text(line.encode()), err=Text(line.encode()))) == []


def test_a_corpus_adds_markers_that_are_taken_line_by_line() -> None:
    crashes = oracles.crash_scan(('^BUG: ', 'ooops|aaargh'))
    for raw in (b'ok\nBUG: 7\n', b'well, ooops\n', b'aaargh'):
        found = oracles.findings(Expect(), Seen(0, 0.1, err=Text(raw)), crashes)
        assert short(found) == [
            ('crash', 'no crash marker', f'on standard error: {raw.decode().strip().split(chr(10))[-1]}')
        ]
    assert oracles.findings(Expect(), Seen(0, 0.1, err=Text(b'no BUG: here')), crashes) == []
    assert oracles.findings(Expect(), Seen(0, 0.1, out=Text(b'panic: x')), crashes) != []


@pytest.mark.parametrize('own', [(), ('OUCH',), ('^OUCH: \\d',)])
@pytest.mark.parametrize('line', ['panic: x', 'ERROR: AddressSanitizer', 'OUCH: 7', 'well'])
def test_what_is_looked_for_first_stands_in_every_match(own: tuple[str, ...], line: str) -> None:
    scan = oracles.crash_scan(own)
    assert [found.group() for found in scan.finditer(line.encode())] == scan.pattern.findall(line.encode())


PANIC = Text(b'a\npanic: disk on fire\npanic: again\n')


@pytest.mark.parametrize(
    ('allowed', 'line'),
    [
        (('^panic: disk on fire$', 'again'), None),
        (('^panic: disk',), 'panic: again'),
        (('fire',), 'panic: again'),
        (('again',), 'panic: disk on fire'),
        (('a\n',), 'panic: disk on fire'),
    ],
)
def test_a_corpus_allows_lines(allowed: tuple[str, ...], line: str | None) -> None:
    wanted = [('crash', 'no crash marker', f'on standard output: {line}')] if line else []
    assert findings(Expect(), Seen(0, 0.1, out=PANIC), allowed) == wanted


@pytest.mark.parametrize(
    ('check', 'wanted'),
    [
        (TextCheck(contains=('a\npanic: disk',)), True),
        (TextCheck(contains=('a', 'panic:')), True),
        (TextCheck(equals=PANIC.head.decode()), True),
        (TextCheck(matches='panic: .* fire'), True),
        (TextCheck(contains=('a',)), False),
        (TextCheck(), False),
        (TextCheck(not_contains=('panic: quietly',)), False),
    ],
)
def test_a_marker_that_the_step_wants_to_see_on_that_stream_is_no_crash(check: TextCheck, wanted: bool) -> None:
    crash = [('crash', 'no crash marker', 'on standard output: panic: disk on fire')]
    assert findings(Expect(stdout=check), Seen(0, 0.1, out=PANIC)) == ([] if wanted else crash)
    crash = [('crash', 'no crash marker', 'on standard error: panic: disk on fire')]
    assert findings(Expect(stderr=check), Seen(0, 0.1, err=PANIC)) == ([] if wanted else crash)


def test_a_marker_that_is_wanted_on_one_stream_is_a_crash_on_the_other() -> None:
    seen = Seen(0, 0.1, out=PANIC, err=PANIC)
    crash = [('crash', 'no crash marker', 'on standard error: panic: disk on fire')]
    assert findings(Expect(stdout=TextCheck(contains=('panic:',))), seen) == crash


@pytest.mark.parametrize(
    ('text', 'line'),
    [
        (Text(b'panic: in the head', b'', 10), 'panic: in the head'),
        (Text(b'', b'panic: in the tail', 10), 'panic: in the tail'),
        (Text(b'', b'', 10, (b'fine: panic: one', b'panic: cut away')), 'panic: cut away'),
        (Text(b'', b'', 10, (b'fine: panic: one',)), None),
    ],
)
def test_markers_are_found_in_head_and_tail_and_in_what_was_cut(text: Text, line: str | None) -> None:
    crash = [('crash', 'no crash marker', f'on standard output: {line}')]
    assert findings(Expect(), Seen(0, 0.1, out=text), ('^fine',)) == (crash if line else [])
    wanted = Expect(stdout=TextCheck(contains=('panic:',)))
    assert [kind for kind, *_ in findings(wanted, Seen(0, 0.1, out=text))].count('crash') == 0


# -- texts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('check', 'text', 'expected'),
    [
        (TextCheck(), 'x', []),
        (TextCheck(equals=''), '', []),
        (TextCheck(equals=''), '\n', []),
        (TextCheck(equals=''), 'x', ['equals ']),
        (TextCheck(equals='x'), 'x', []),
        (TextCheck(equals='x'), 'x\n', []),
        (TextCheck(equals='x'), 'x\n\n', ['equals x']),
        (TextCheck(equals='x\n'), 'x', ['equals x\n']),
        (TextCheck(equals='x'), ' x', ['equals x']),
        (TextCheck(contains=('a', 'c')), 'abc', []),
        (TextCheck(contains=('d', 'a', 'e')), 'abc', ['contains d', 'contains e']),
        (TextCheck(not_contains=('d', 'e')), 'abc', []),
        (TextCheck(not_contains=('d', 'a', 'c')), 'abc', ['does not contain a', 'does not contain c']),
        (TextCheck(matches='^b'), 'a\nb', ['matches ^b']),
        (TextCheck(matches='(?m)^b$'), 'a\nb\n', []),
        (TextCheck(matches='^$'), 'x', ['matches ^$']),
        (TextCheck(matches='^$'), '', []),
        (
            TextCheck(equals='b', contains=('c',), not_contains=('a',), matches='d'),
            'a',
            ['equals b', 'contains c', 'does not contain a', 'matches d'],
        ),
    ],
)
def test_check_text(check: TextCheck, text: str, expected: list[str]) -> None:
    wanted = [('stdout', f'standard output {words}', text) for words in expected]
    assert of_text(check, Text(text.encode())) == wanted


def test_a_files_text_is_taken_to_the_byte() -> None:
    assert of_text(TextCheck(equals='x'), Text(b'x'), 'files', 'a.txt') == []
    assert of_text(TextCheck(equals='x'), Text(b'x\n'), 'files', 'a.txt') == [('files', 'a.txt equals x', 'x\n')]


def test_bytes_that_are_no_text_are_written_out() -> None:
    assert of_text(TextCheck(contains=('z',)), Text(b'\xff\xc3\xa9')) == [
        ('stdout', 'standard output contains z', '\\xffé')
    ]


@pytest.mark.parametrize(
    ('check', 'head', 'tail', 'sure', 'unsure'),
    [
        (TextCheck(equals='x'), 'x', '', ['equals x'], []),
        (TextCheck(equals='ab1234567890yz'), 'ab', 'yz', [], ['equals ab1234567890yz']),
        (TextCheck(equals='ab1234567890yz'), 'ab', 'yz\n', [], ['equals ab1234567890yz']),
        (TextCheck(equals='ab1234567890yz'), 'ac', 'yz', ['equals ab1234567890yz'], []),
        (TextCheck(equals='ab1234567890yz'), 'ab', 'zz', ['equals ab1234567890yz'], []),
        (TextCheck(equals='ab12345678901yz'), 'ab', 'yz', ['equals ab12345678901yz'], []),
        (TextCheck(equals='ab\ud8001234567yz!'), 'ab', 'yz!', [], ['equals ab\ud8001234567yz!']),
        (TextCheck(contains=('ab', 'yz')), 'ab', 'yz', [], []),
        (TextCheck(contains=('abyz', 'cut')), 'ab', 'yz', [], ['contains abyz', 'contains cut']),
        (TextCheck(not_contains=('ab',)), 'ab', 'yz', ['does not contain ab'], []),
        (TextCheck(not_contains=('yz',)), 'ab', 'yz', ['does not contain yz'], []),
        (TextCheck(not_contains=('cut',)), 'ab', 'yz', [], ['does not contain cut']),
        (TextCheck(matches='^a'), 'ab', 'yz', [], []),
        (TextCheck(matches='z$'), 'ab', 'yz', [], []),
        (TextCheck(matches='b$'), 'ab', 'yz', [], ['matches b$']),
        (TextCheck(matches='^y'), 'ab', 'yz', [], ['matches ^y']),
        (TextCheck(matches='ab'), 'ab', 'yz', [], ['matches ab']),
        (TextCheck(matches='ab|b'), 'b ab', 'yz', [], []),
        (TextCheck(matches='q'), 'ab', 'yz', [], ['matches q']),
        (
            TextCheck(json=(('a', 1),)),
            '{"a":',
            '1}',
            [],
            ['is JSON (Expecting value: line 2 column 2 (char 7))'],
        ),
    ],
)
def test_what_was_cut_is_held_neither_against_the_product_nor_for_it(
    check: TextCheck, head: str, tail: str, sure: list[str], unsure: list[str]
) -> None:
    shown = head + CUT + tail
    found = of_text(check, Text(head.encode(), tail.encode(), 10))
    wanted: list[Short] = [('stdout', f'standard output {words}', shown) for words in sure]
    wanted += [('harness', f'standard output {words}', UNSURE + shown) for words in unsure]
    assert found == wanted


# -- JSON ------------------------------------------------------------------------------------------

DOCUMENT: dict[str, Any] = {
    'a': {'b': [10, {'c': 'é'}], 'd': None, 'e': True},
    'n': 1,
    's': 'xyz',
    'l': [1, True, [1.0]],
}


@pytest.mark.parametrize(
    ('path', 'wanted', 'found'),
    [
        ('a.b[0]', 10, None),
        ('a.b[1].c', 'é', None),
        ('a.b[-1].c', 'é', None),
        ('a.d', None, None),
        ('a.e', True, None),
        ('n', 1, None),
        ('n', 1.0, None),
        ('l', [1.0, True, [1]], None),
        ('a', {'b': [10, {'c': 'é'}], 'd': None, 'e': True}, None),
        ('n', True, 'has n: true (it is 1)'),
        ('a.e', 1, 'has a.e: 1 (it is true)'),
        ('a.d', False, 'has a.d: false (it is null)'),
        ('n', '1', 'has n: "1" (it is 1)'),
        ('l', [True, True, [1]], 'has l: [true, true, [1]] (it is [1, true, [1.0]])'),
        ('l', [1, True], 'has l: [1, true] (it is [1, true, [1.0]])'),
        ('l', [1, True, [2]], 'has l: [1, true, [2]] (it is [1, true, [1.0]])'),
        ('a.b', {}, 'has a.b: {} (it is [10, {"c": "é"}])'),
        ('a.b[1]', {'c': 'é', 'f': 1}, 'has a.b[1]: {"c": "é", "f": 1} (it is {"c": "é"})'),
        ('a.b[1]', {'c': 'e'}, 'has a.b[1]: {"c": "e"} (it is {"c": "é"})'),
        ('a.b[1]', {}, 'has a.b[1]: {} (it is {"c": "é"})'),
        ('a.b[1]', [], 'has a.b[1]: [] (it is {"c": "é"})'),
        ('z', 1, 'has z: 1 (there is no z)'),
        ('a.z', 1, 'has a.z: 1 (there is no a.z)'),
        ('a.b[2]', 1, 'has a.b[2]: 1 (there is no a.b[2])'),
        ('a.b.c', 1, 'has a.b.c: 1 (there is no a.b.c)'),
        ('a[0]', 1, 'has a[0]: 1 (there is no a[0])'),
        ('s[0]', 'x', 'has s[0]: "x" (there is no s[0])'),
        ('n.x', 1, 'has n.x: 1 (there is no n.x)'),
    ],
)
def test_json(path: str, wanted: Any, found: str | None) -> None:
    text = json.dumps(DOCUMENT)
    assert of_text(TextCheck(json=((path, wanted),)), Text(text.encode())) == (
        [('stdout', f'standard output {found}', text)] if found else []
    )


def test_every_json_path_is_looked_at() -> None:
    text = json.dumps(DOCUMENT)
    check = TextCheck(json=(('z', 1), ('n', 1), ('n', 2), ('s', 'xyz')))
    assert [expected for _, expected, _ in of_text(check, Text(text.encode()))] == [
        'standard output has z: 1 (there is no z)',
        'standard output has n: 2 (it is 1)',
    ]


@pytest.mark.parametrize(
    ('text', 'why'),
    [
        ('', 'Expecting value: line 1 column 1 (char 0)'),
        ('{"a": 1} x', 'Extra data: line 1 column 10 (char 9)'),
    ],
)
def test_what_is_no_json(text: str, why: str) -> None:
    check = TextCheck(json=(('a', 1), ('b', 2)))
    assert of_text(check, Text(text.encode())) == [('stdout', f'standard output is JSON ({why})', text)]


def test_what_is_nested_deeper_than_can_be_read_is_no_json() -> None:
    [(kind, expected, _)] = of_text(TextCheck(json=(('a', 1),)), Text(b'[' * 100_000))
    assert (kind, expected[:30]) == ('stdout', 'standard output is JSON (maxim')


KEYS = st.text(st.characters(exclude_characters='.[]', exclude_categories=['Cs']), min_size=1)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
)


@given(JSON, st.data())
def test_what_a_document_holds_is_found_where_it_stands(document: Any, data: st.DataObject) -> None:
    path, value = '', {'root': document}
    key: Any = 'root'
    while True:
        path += f'[{key}]' if isinstance(key, int) else f'.{key}'
        value = value[key]
        if not isinstance(value, (dict, list)) or not value or data.draw(st.booleans()):
            break
        key = data.draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
    text = Text(json.dumps({'root': document}).encode())
    assert of_text(TextCheck(json=((path.removeprefix('.'), value),)), text) == []
    assert of_text(TextCheck(json=((path.removeprefix('.'), [value, 'else']),)), text) != []


# -- files -----------------------------------------------------------------------------------------

GONE = FileSeen(False)
DANGLING = FileSeen(False, None, 'it is a link that leads nowhere')
FOLDER = FileSeen(True, None, 'it is not a regular file')
HELLO = FileSeen(True, Text(b'hello\n'))


@pytest.mark.parametrize(
    ('check', 'seen', 'found'),
    [
        (FileCheck('f'), HELLO, None),
        (FileCheck('f'), GONE, ('f exists', 'it does not exist')),
        (FileCheck('f', True), HELLO, None),
        (FileCheck('f', True), FOLDER, None),
        (FileCheck('f', True), GONE, ('f exists', 'it does not exist')),
        (FileCheck('f', True), DANGLING, ('f exists', 'it is a link that leads nowhere')),
        (FileCheck('f', False), GONE, None),
        (FileCheck('f', False), HELLO, ('f does not exist', 'it exists')),
        (FileCheck('f', False), FOLDER, ('f does not exist', 'it exists')),
        (FileCheck('f', False), DANGLING, ('f does not exist', 'it is a link that leads nowhere')),
        (FileCheck('f', None, TextCheck(contains=('ell',))), HELLO, None),
        (FileCheck('f', True, TextCheck(equals='hello')), HELLO, ('f equals hello', 'hello\n')),
        (FileCheck('f', None, TextCheck(equals='hello\n')), HELLO, None),
        (FileCheck('f', None, TextCheck(equals='')), GONE, ('f exists', 'it does not exist')),
        (
            FileCheck('f', None, TextCheck(contains=('x',))),
            FOLDER,
            ('f is a readable file', 'it is not a regular file'),
        ),
        (
            FileCheck('f', None, TextCheck(json=(('a', 1),))),
            HELLO,
            ('f is JSON (Expecting value: line 1 column 1 (char 0))', 'hello\n'),
        ),
    ],
)
def test_files(check: FileCheck, seen: FileSeen, found: tuple[str, str] | None) -> None:
    expect = Expect(files=(check,))
    assert findings(expect, Seen(0, 0.1, files={'f': seen})) == ([('files', *found)] if found else [])


# -- the whole step --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ('limit', 'seconds', 'found'),
    [
        (None, 99.0, None),
        (1.5, 1.5, None),
        (1.5, 1.5004, ('latency', 'at most 1.5 s', '1.500 s')),
        (0.0, 0.25, ('latency', 'at most 0 s', '0.250 s')),
    ],
)
def test_latency(limit: float | None, seconds: float, found: Short | None) -> None:
    assert findings(Expect(latency=limit), Seen(0, seconds)) == ([found] if found else [])


def test_everything_that_is_wrong_is_found_in_a_fixed_order() -> None:
    expect = Expect(
        exit=0,
        stdout=TextCheck(equals='a'),
        stderr=TextCheck(equals='b'),
        files=(FileCheck('one', True), FileCheck('two', False)),
        latency=1,
    )
    seen = Seen(2, 3, Text(b'x'), Text(b'panic: y'), {'one': FileSeen(False), 'two': FileSeen(True)})
    assert findings(expect, seen) == [
        ('exit', 'exit 0', 'exit 2: panic: y'),
        ('crash', 'no crash marker', 'on standard error: panic: y'),
        ('stdout', 'standard output equals a', 'x'),
        ('stderr', 'standard error equals b', 'panic: y'),
        ('files', 'one exists', 'it does not exist'),
        ('files', 'two does not exist', 'it exists'),
        ('latency', 'at most 1 s', '3.000 s'),
    ]


@pytest.mark.parametrize(
    ('said', 'observed'),
    [
        ('', 'exit 3'),
        (' \n', 'exit 3'),
        ('first\nfatal: no such tag\n', 'exit 3: fatal: no such tag'),
        ('fatal: no such tag\n\n  \n', 'exit 3: fatal: no such tag'),
        ('/usr/bin/bash: line 12: ./product: Permission denied\n', 'exit 3: ./product: Permission denied'),
        ('product: bash: line 2: odd', 'exit 3: product: bash: line 2: odd'),
    ],
)
def test_an_exit_status_comes_with_the_last_that_was_said(said: str, observed: str) -> None:
    assert findings(Expect(), Seen(3, 0.1, err=Text(said.encode()))) == [('exit', 'exit 0', observed)]


def test_the_last_words_are_those_of_the_tail() -> None:
    err = Text(b'head\n', b'tail\n', 10)
    assert findings(Expect(), Seen(3, 0.1, err=err)) == [('exit', 'exit 0', 'exit 3: tail')]


def test_texts_are_shown_masked_and_only_then_shortened() -> None:
    secret = 'k' * 400
    text = 'a' * 900 + secret + 'b' * 2000 + 'end'
    found = oracles.findings(
        Expect(stdout=TextCheck(equals=f'{secret}?')),
        Seen(0, 0.1, Text(text.encode())),
        CRASHES,
        show=lambda text: text.replace(secret, '*'),
    )
    shown = 'a' * 900 + '*' + 'b' * 2000 + 'end'
    assert short(found) == [
        ('stdout', 'standard output equals *?', f'{shown[:1000]}\n[… 904 characters …]\n{shown[-1000:]}')
    ]


@pytest.mark.parametrize('size', [1999, 2000, 2001])
def test_texts_of_two_thousand_characters_are_quoted_whole(size: int) -> None:
    text = 'x' * size
    [(_, _, observed)] = findings(Expect(stdout=TextCheck(equals='y')), Seen(0, 0.1, Text(text.encode())))
    assert observed == (text if size <= 2000 else 'x' * 1000 + '\n[… 1 characters …]\n' + 'x' * 1000)


def test_a_finding_of_a_step() -> None:
    assert oracles.finding('timeout', 'an end', 'none', 3) == {
        'kind': 'timeout',
        'step': 3,
        'expected': 'an end',
        'observed': 'none',
        'evidence': None,
    }


SEGV = ('redis-server (pid 7)', Signals.SIGSEGV)


@pytest.mark.parametrize(
    ('said', 'died', 'sent', 'allowed', 'found'),
    [
        ((), (), (), (), []),
        ((b'ready\n',), (), (), (), []),
        ((b'ready\n', b'panic: x\npanic: y\n'), (), (), (), ['it said: panic: x']),
        ((b'panic: drill\n',), (), (), ('drill',), []),
        ((), (SEGV,), (), (), ['redis-server (pid 7): death by signal SIGSEGV']),
        ((), (SEGV,), (Signals.SIGSEGV,), (), []),
        ((), (SEGV,), (Signals.SIGABRT,), (), ['redis-server (pid 7): death by signal SIGSEGV']),
        ((), (SEGV,), (), ('^redis-server .*SIGSEGV$',), []),
        ((), (('redis-server (pid 7)', Signals.SIGKILL),), (), (), []),  # somebody else's doing
        ((b'panic: x',), (SEGV,), (), (), ['redis-server (pid 7): death by signal SIGSEGV', 'it said: panic: x']),
    ],
)
def test_what_runs_on_from_an_earlier_step(
    said: Sequence[bytes],
    died: Sequence[tuple[str, Signals]],
    sent: Sequence[Signals],
    allowed: Sequence[str],
    found: list[str],
) -> None:
    seen = oracles.of_survivors([*map(Text, said)], died, sent, oracles.crash_scan(()), allowed)
    assert short(seen) == [('crash', 'no crash of what runs on from an earlier step', text) for text in found]


def test_signals_that_scripts_send() -> None:
    scripts = ['kill -ABRT 7; sleep 1', 'kill -KILL 7; echo FILL SYSTEM', 'kill -s SIGSEGV 7']
    assert oracles.signals_in(scripts) == {Signals.SIGABRT, Signals.SIGSEGV}


@pytest.mark.parametrize(
    ('exit', 'sent', 'excused'),
    [
        (0, [], []),
        (134, [], ['Aborted']),
        (143, [], []),
        ('nonzero', [], []),
        (0, [Signals.SIGSEGV], ['Segmentation fault']),
        (134, [Signals.SIGSEGV], ['Aborted', 'Segmentation fault']),
        (139, [Signals.SIGSEGV], ['Segmentation fault']),
    ],
)
def test_deaths_that_are_asked_for(exit: Any, sent: list[Signals], excused: list[str]) -> None:
    patterns = oracles.asked_for(Expect(exit=exit), sent)
    told = [f'bash: line 1:   77 {words}      shop' for words in ('Aborted', 'Bus error', 'Segmentation fault')]
    assert [line for line in told if any(re.search(pattern, line) for pattern in patterns)] == [
        f'bash: line 1:   77 {words}      shop' for words in excused
    ]
