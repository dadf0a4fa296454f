"""Loading a corpus: its values, and everything that can be wrong with one."""

import json
import os
import random
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from hack.common import jsonpath
from hack.common.errors import UserError
from hack.dogfood.corpus import journeys
from hack.dogfood.judging import oracles
from hack.dogfood.model import (
    Capability,
    Corpus,
    CorpusFile,
    Expect,
    Feature,
    FileCheck,
    Invariant,
    Journey,
    Step,
    TextCheck,
)

REPOSITORY = Path(__file__).resolve().parents[4]
BAD = REPOSITORY / 'tests/corpora/bad'
WEAK = REPOSITORY / 'tests/corpora/weak'
SCHEMA = json.loads((REPOSITORY / 'hack/dogfood/schema/journeys.schema.json').read_text())

STEPS = 'steps: [{run: product, expect: {exit: 0}}]'


def problems(*paths: str | Path) -> list[str]:
    with pytest.raises(UserError) as caught:
        journeys.load([str(path) for path in paths])
    assert caught.value.exit_status == 2
    return list(caught.value.problems)


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f'{name}.yaml').write_text(text)
    return folder


def journey(name: str, more: str = '') -> str:
    return f'  - {{id: {name}, promise: It works., {more}{STEPS}}}\n'


# -- what is wrong -------------------------------------------------------------------------


def expected_problems() -> dict[str, list[str]]:
    """The lines of expected.txt by the file or folder they are about."""
    cases = defaultdict(list)
    for line in (BAD / 'expected.txt').read_text().splitlines():
        cases[re.split('[/:]', line)[0]].append(line)
    return cases


@pytest.mark.parametrize('case', sorted(expected_problems()))
def test_every_problem_is_said_at_its_place(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD)
    assert problems(case) == expected_problems()[case]


def test_every_bad_corpus_is_expected() -> None:
    assert {path.name for path in BAD.iterdir()} == {*expected_problems(), 'expected.txt'}


def test_problems_of_all_files_come_at_once_sorted_by_file_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BAD.parent)
    found = problems('bad/values.yaml', 'bad/absent', 'bad/tokens.yaml', 'bad/empty.yaml', 'bad/not-yaml.yaml')
    alone = [f'bad/{line}' for name in ('empty', 'not-yaml', 'tokens', 'values')
             for line in expected_problems()[f'{name}.yaml']]  # fmt: skip
    absent = 'bad/absent: cannot be read: No such file or directory (check the path and its permissions)'
    assert found == [absent, *alone]


@pytest.mark.parametrize(
    ('content', 'problem'),
    [
        (b'feature: caf\xe9\n', ':1:13: byte 0xe9 at offset 12 is not UTF-8 (save the file as UTF-8)'),
        (b'\xff\xfef\0', ':1:1: byte 0xff at offset 0 is not UTF-8 (save the file as UTF-8)'),
        (b'[' * 100_000, ':1:101: nested more than 100 levels deep (flatten it)'),
        (b'42', ':1:1: the file wants a mapping, not a number (check the indentation and the punctuation)'),
    ],
)
def test_files_that_are_none(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / 'f.yaml').write_bytes(content)
    (found,) = problems(tmp_path)
    assert found == f'{tmp_path}/f.yaml{problem}'


@pytest.mark.parametrize(
    'name', ['a/b', '../a', 'a b', 'a\nb', 'A', 'a--b', '-a', 'a-', '', 'é', 'a_b', 'a.b', '²', 'x' * 81]
)
def test_ids_and_tokens_are_kebab_case(tmp_path: Path, name: str) -> None:
    written = json.dumps(name)
    write(tmp_path, f=f'feature: f\njourneys:\n{journey(written, f"establishes: {written}, ")}')
    assert [re.sub(r'.*yaml:(\d+).*', r'\1', problem) for problem in problems(tmp_path)] == ['3', '3']
    write(tmp_path, f=f'feature: f\ncapabilities: {{? {written} : {{}}}}\njourneys:\n{journey("a")}')
    assert len(problems(tmp_path)) == 1


def test_the_longest_id_is_none_too_long(tmp_path: Path) -> None:
    write(tmp_path, f=f'feature: f\njourneys:\n{journey("x" * 80, "establishes: 7, ").replace("7", "t7")}')
    assert list(journeys.load([str(tmp_path)]).journeys) == ['x' * 80]


def test_a_token_that_an_unreadable_part_may_establish_is_not_called_unknown(tmp_path: Path) -> None:
    needy = f'feature: f\njourneys:\n{journey("needy", "requires: [from-broken, from-misspelt, from-nowhere], ")}'
    broken = f'feature: g\njourneys:\n{journey("broken", "establishes: from-broken, ")}\t'
    misspelt = f'feature: h\njourneys:\n{journey("misspelt", "establish: from-misspelt, requires: from-nowhere, ")}'
    write(tmp_path, needy=needy, broken=broken, misspelt=misspelt)
    found = [problem.removeprefix(f'{tmp_path}/') for problem in problems(tmp_path)]
    assert [problem.partition(' (')[0] for problem in found] == [
        'broken.yaml:4:1: not YAML: found character that cannot start any token while scanning for the next token',
        "misspelt.yaml:3:40: unknown key 'establish'",
        "misspelt.yaml:3:76: nothing establishes 'from-nowhere'",
        "needy.yaml:3:76: nothing establishes 'from-nowhere'",
    ]


def test_one_bad_key_hides_no_other_problem(tmp_path: Path) -> None:
    text = """\
feature: f
env: [A]
journeys:
  - id: one
    promise: [It, works.]
    requires: unknown-token
    steps: [{run: product}]
  - {}
  - text
"""
    write(tmp_path, f=text)
    assert [problem.removeprefix(f'{tmp_path}/f.yaml:').partition(' (')[0] for problem in problems(tmp_path)] == [
        "2:6: 'env' wants a mapping, not a list",
        "5:14: 'promise' wants text, not a list",
        "6:15: nothing establishes 'unknown-token'",
        "7:13: a decisive step of 'one' says nothing",
        "8:5: the key 'id' is missing in an entry of 'journeys'",
        "8:5: the key 'promise' is missing in an entry of 'journeys'",
        "8:5: the key 'steps' is missing in an entry of 'journeys'",
        "9:5: an entry of 'journeys' wants a mapping, not text",
    ]


def test_a_repeated_alias_repeats_no_problem(tmp_path: Path) -> None:
    one = '{id: one, promise: p, steps: [&s {run: product, expect: {exti: 0}}, *s]}'
    write(tmp_path, f=f'feature: f\njourneys: [{one}]')
    assert problems(tmp_path) == [f"{tmp_path}/f.yaml:2:69: unknown key 'exti' (did you mean 'exit'?)"]


def test_a_token_established_earlier_too_is_in_time(tmp_path: Path) -> None:
    establishers = journey('early', 'tier: smoke, establishes: t, ') + journey('late', 'tier: deep, establishes: t, ')
    write(tmp_path, f=f'feature: f\njourneys:\n{establishers}{journey("needy", "requires: t, ")}')
    assert len(journeys.load([str(tmp_path)]).journeys) == 3


def test_warnings_stand_in_the_corpus_and_refuse_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(WEAK)
    assert [warning.partition(' (')[0] for warning in journeys.load(['weak.yaml']).warnings] == [
        "weak.yaml:4:42: this probe cannot fail: '|| true' makes its exit status always 0",
        "weak.yaml:7:31: this invariant cannot fail: 'echo' makes its exit status always 0",
        "weak.yaml:8:24: '.*' allows every crash",
        "weak.yaml:13:14: this step cannot fail: '|| true' hides every failure",
        'weak.yaml:14:14: `head -n 1` may stop reading before the writer is done, which then dies of SIGPIPE: '
        'exit 141, now and then',
        'weak.yaml:15:14: `! product --refuse` is not the last command, so that it fails no step whatever it finds',
        "weak.yaml:18:14: the step is decisive but expects only an exit status, and that of 'echo' is always 0",
        "weak.yaml:24:14: a product that does nothing passes this step: '|| true' makes its exit status always 0, "
        'and what it expects of the output is what the step itself prints',
        "weak.yaml:28:14: a product that does nothing passes this step: '|| true' makes its exit status always 0, "
        'and what it expects of the output holds of no output at all too',
        'weak.yaml:30:14: `product` fails no step: where more commands follow, only the last of an `&&` list is heeded',
        "weak.yaml:33:14: this step cannot fail: '&' hides every failure",
    ]


# -- values --------------------------------------------------------------------------------

WHOLE = r"""
$schema: ../journeys.schema.json
feature: local
  images
product: {needs: [buildah, git], packages: {redis-cli: redis-tools}, version: buildah --version}
env: {STORE: '${DOGFOOD_DATA_DIR}/store', PORT: 80}
capabilities:
  tag-created: {says: A tag is there., probe: test -e tag}
invariants: [{name: it is sound, run: test -e store}]
crash_markers: {add: 'oops', allow: ['^fine', 'panic: test']}
journeys:
  - id: build
    promise: >-
      An image can
      be built.
    source: {kind: readme, ref: buildah(1)}
    tier: smoke
    gating: yes
    establishes: tag-created
    sandboxes: hello-box
    needs: tar
    env: {LEVEL: 7}
    env_pass: TOKEN
    files: {ctx/Containerfile: "FROM scratch\n"}
    timeout: 2m
    retries: 2
    sandbox: strict
    teardown: product --clean
    steps:
      - intent: build it
        run: product build
        timeout: 500ms
        files: {more: x}
        core: true
        expect: {exit: nonzero, latency: 1.5s, within: 1h}
      - run: product look
        expect:
          exit: 3
          stdout: {equals: no text, contains: a, not_contains: [b, c], matches: ^d, json: {'a.b[0]': [1, {c: null}]}}
          stderr: {contains: [e]}
          files: {out: {exists: true, contains: f}, gone: {exists: false}}
  - id: run
    promise: It runs.
    requires: [tag-created]
    establishes: [was-run]
    steps:
      - run: product one
      - {run: product two, expect: {files: [{path: '${DOGFOOD_DATA_DIR}/x', equals: ''}, {path: y}]}}
"""


def test_all_that_a_corpus_can_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write(tmp_path, whole=WHOLE))
    assert journeys.load(['whole.yaml']) == Corpus(
        files=(CorpusFile('whole.yaml', sha256(WHOLE.encode()).hexdigest()),),
        features={
            'whole.yaml': Feature(
                name='local images',
                path='whole.yaml',
                needs=('buildah', 'git'),
                packages={'redis-cli': 'redis-tools'},
                version='buildah --version',
                env={'STORE': '${DOGFOOD_DATA_DIR}/store', 'PORT': '80'},
                invariants=(Invariant('it is sound', 'test -e store'),),
                crash_markers=('oops',),
                crash_allowed=('^fine', 'panic: test'),
            )
        },
        capabilities={
            'tag-created': Capability('tag-created', 'A tag is there.', 'test -e tag', 'whole.yaml'),
            'was-run': Capability('was-run', feature='whole.yaml'),
        },
        journeys={
            'build': Journey(
                id='build',
                promise='An image can be built.',
                feature='local images',
                path='whole.yaml',
                line=WHOLE.splitlines().index('  - id: build') + 1,
                steps=(
                    Step(
                        run='product build',
                        intent='build it',
                        expect=Expect(exit='nonzero', latency=1.5, within=3600.0),
                        core=True,
                        timeout=0.5,
                        files={'more': 'x'},
                    ),
                    Step(
                        run='product look',
                        expect=Expect(
                            exit=3,
                            stdout=TextCheck('no text', ('a',), ('b', 'c'), '^d', (('a.b[0]', [1, {'c': None}]),)),
                            stderr=TextCheck(contains=('e',)),
                            files=(
                                FileCheck('out', True, TextCheck(contains=('f',))),
                                FileCheck('gone', False),
                            ),
                        ),
                    ),
                ),
                tier='smoke',
                gating=True,
                establishes=('tag-created',),
                sandboxes=('hello-box',),
                needs=('tar',),
                env={'LEVEL': '7'},
                env_pass=('TOKEN',),
                files={'ctx/Containerfile': 'FROM scratch\n'},
                timeout=120.0,
                retries=2,
                sandbox='strict',
                teardown=('product --clean',),
                source={'kind': 'readme', 'ref': 'buildah(1)'},
            ),
            'run': Journey(
                id='run',
                promise='It runs.',
                feature='local images',
                path='whole.yaml',
                line=WHOLE.splitlines().index('  - id: run') + 1,
                steps=(
                    Step(run='product one'),
                    Step(
                        run='product two',
                        expect=Expect(
                            files=(FileCheck('${DOGFOOD_DATA_DIR}/x', text=TextCheck(equals='')), FileCheck('y'))
                        ),
                        core=True,
                    ),
                ),
                establishes=('was-run',),
                requires=('tag-created',),
            ),
        },
    )


@pytest.mark.parametrize(
    ('written', 'seconds'), [('90', 90.0), ('0.25', 0.25), ('250ms', 0.25), ('1.5m', 90.0), ('2h', 7200.0)]
)
def test_times_are_seconds(tmp_path: Path, written: str, seconds: float) -> None:
    write(tmp_path, f=f'feature: f\njourneys:\n{journey("a", f"timeout: {written}, ")}')
    assert journeys.load([str(tmp_path)]).journeys['a'].timeout == seconds


def test_json_is_yaml(tmp_path: Path) -> None:
    text = WHOLE.replace('PORT: 80', 'PORT: 80, SMILE: "😀"')
    (tmp_path / 'a.json').write_text(json.dumps(yaml.safe_load(text), indent='\t'))
    (tmp_path / 'b.yaml').write_text(text)
    (a,) = journeys.load([str(tmp_path / 'a.json')]).features.values()
    (b,) = journeys.load([str(tmp_path / 'b.yaml')]).features.values()
    assert a == b._replace(path=a.path)


def test_capabilities_and_features_belong_to_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    declaring = (
        f'feature: same\ncapabilities: {{a: {{probe: test a}}}}\njourneys:\n{journey("one", "requires: [a, b], ")}'
    )
    establishing = f'feature: same\njourneys:\n{journey("two", "establishes: [b, a], ")}'
    write(tmp_path, declaring=declaring, establishing=establishing)
    corpus = journeys.load(['.'])
    assert corpus.capabilities == {
        'a': Capability('a', probe='test a', feature='./declaring.yaml'),
        'b': Capability('b', feature='./establishing.yaml'),
    }
    assert list(corpus.features) == ['./declaring.yaml', './establishing.yaml']
    assert {feature.name for feature in corpus.features.values()} == {'same'}


# -- files ---------------------------------------------------------------------------------


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus in several files, with neighbours that are none of it."""
    for name in ('b.yaml', 'a.yml', 'deep/er/c.json', 'deep/d.yaml'):
        path = tmp_path / 'corpus' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # The second journey's name sorts before the first one's.
        path.write_text(f'feature: f\njourneys:\n{journey("z-" + path.stem)}{journey("y-" + path.stem)}')
    for name in ('.hidden.yaml', '.git/config.yaml', 'triage.yaml', 'deep/triage.yaml', 'notes.txt', 'deep/x.yaml~'):
        path = tmp_path / 'corpus' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('no: journeys')
    monkeypatch.chdir(tmp_path)
    return tmp_path


PATHS = ['corpus/a.yml', 'corpus/b.yaml', 'corpus/deep/d.yaml', 'corpus/deep/er/c.json']
IDS = ['z-a', 'y-a', 'z-b', 'y-b', 'z-d', 'y-d', 'z-c', 'y-c']


def test_a_folder_is_read_to_its_ground(tree: Path) -> None:
    corpus = journeys.load(['corpus'])
    assert [file.path for file in corpus.files] == PATHS
    assert list(corpus.journeys) == IDS
    assert [(each.path, each.line) for each in corpus.journeys.values()] == [
        (path, line) for path in PATHS for line in (3, 4)
    ]


@pytest.mark.parametrize(
    'paths', [PATHS, PATHS[::-1], ['corpus/deep', 'corpus'], ['corpus', *PATHS], ['corpus/', 'corpus']]
)
def test_the_order_of_paths_does_not_matter(tree: Path, paths: list[str]) -> None:
    assert journeys.load(paths) == journeys.load(['corpus'])
    assert repr(journeys.load(paths)) == repr(journeys.load(['corpus']))


def test_paths_stay_as_they_were_given(tree: Path) -> None:
    assert next(iter(journeys.load([str(tree / 'corpus')]).features)) == f'{tree}/corpus/a.yml'
    assert next(iter(journeys.load(['./corpus']).features)) == './corpus/a.yml'


def test_a_file_under_two_names_is_one(tree: Path) -> None:
    (tree / 'corpus' / 'e.yaml').symlink_to('b.yaml')
    (tree / 'link').symlink_to('corpus')
    assert list(journeys.load(['link', 'corpus']).journeys) == IDS


def test_a_named_file_may_have_any_ending(tree: Path) -> None:
    shutil.copy('corpus/b.yaml', 'corpus.in')
    assert list(journeys.load(['corpus.in']).journeys) == ['z-b', 'y-b']


def test_a_corpus_without_journeys(tree: Path) -> None:
    nothing = 'no journeys here (name a folder or a file that holds some, in YAML)'
    (tree / 'empty').mkdir()
    assert problems('empty') == [f'empty: {nothing}']
    assert problems('corpus', 'empty') == [f'empty: {nothing}']
    assert problems('corpus/triage.yaml') == [f'corpus/triage.yaml: {nothing}']
    assert problems() == ['the corpus: no path to it (name a folder or a file with journeys)']
    assert problems('absent') == [
        'absent: cannot be read: No such file or directory (check the path and its permissions)'
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read everything')
def test_a_folder_without_permission(tree: Path) -> None:
    (tree / 'corpus/deep').chmod(0)
    try:
        assert problems('corpus') == ['corpus/deep: cannot be read: Permission denied (check its permissions)']
    finally:
        (tree / 'corpus/deep').chmod(0o755)


# -- the schema and the starting corpus ----------------------------------------------------


def properties_of(schema: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(schema, dict):
        yield from schema.get('properties', {}).items()
        for inner in schema.values():
            yield from properties_of(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from properties_of(inner)


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    while '$ref' in schema and 'description' not in schema:
        target: Any = SCHEMA
        for step in schema['$ref'].removeprefix('#/').split('/'):
            target = target[step]
        schema = target
    return schema


def test_every_key_of_the_format_is_described() -> None:
    Draft7Validator.check_schema(SCHEMA)
    assert [name for name, schema in properties_of(SCHEMA) if not resolved(schema).get('description')] == []


@given(st.text(alphabet='ab0.[]- \n') | st.text())
def test_paths_into_json_are_those_that_oracles_can_follow(path: str) -> None:
    pattern = SCHEMA['definitions']['textCheck']['properties']['json']['propertyNames']['pattern']
    try:
        is_path = bool(jsonpath.parse(path))
    except ValueError:
        is_path = False
    # Of digits in other scripts the format wants to know nothing.
    assert bool(re.search(pattern.replace('$', r'\Z'), path)) == is_path or not path.isascii()


@pytest.mark.parametrize('feature', ['local images', 'it\'s #1: <new> & "odd"', 'a' * 200, '7'])
def test_the_starting_corpus_passes_without_a_warning(tmp_path: Path, feature: str) -> None:
    write(tmp_path, start=journeys.starting_corpus(feature))
    corpus = journeys.load([str(tmp_path)])
    assert corpus.warnings == ()
    assert [each.name for each in corpus.features.values()] == [feature]
    assert {each.tier for each in corpus.journeys.values()} == {'smoke', 'core', 'deep'}


def test_the_starting_corpus_keeps_its_promises(tmp_path: Path) -> None:
    write(tmp_path, start=journeys.starting_corpus('local images'))
    corpus = journeys.load([str(tmp_path)])
    environment = {'PATH': os.environ['PATH'], 'LC_ALL': 'C', 'LIST': str(tmp_path / 'list')}

    def run(script: str) -> subprocess.CompletedProcess[bytes]:
        command = ['bash', '-eo', 'pipefail', '-c', script]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False)

    for each in corpus.journeys.values():
        for name, text in each.files.items():
            (tmp_path / name).write_text(text)
        for step in each.steps:
            ran = run(step.run)
            assert ran.returncode == (2 if step.expect.exit == 'nonzero' else step.expect.exit)
            for check, said in ((step.expect.stdout, ran.stdout), (step.expect.stderr, ran.stderr)):
                assert check is None or oracles.check_text('stdout', 'output', check, oracles.Text(said)) == []
    assert all(run(capability.probe or 'false').returncode == 0 for capability in corpus.capabilities.values())
    assert all(run(each.run).returncode == 0 for feature in corpus.features.values() for each in feature.invariants)


@pytest.mark.parametrize('feature', ['', ' ', '日本', 'two\nlines', 'nul\0'])
def test_a_feature_without_a_name_has_no_starting_corpus(feature: str) -> None:
    with pytest.raises(UserError, match='is no name for a feature'):
        journeys.starting_corpus(feature)


# -- whatever comes ------------------------------------------------------------------------


def load_or_refuse(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refused: tuple[str, ...] = ()
    loaded: list[str] = []
    try:
        loaded += journeys.load([str(path)]).journeys
    except UserError as error:
        refused = error.problems
    assert bool(refused) != bool(loaded)
    assert all(line.startswith(f'{path}:') for line in refused)


@pytest.fixture(scope='module')
def somewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp('any') / 'f.yaml'


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_loaded_or_refused(somewhere: Path, content: bytes) -> None:
    load_or_refuse(somewhere, content)


fragments = st.sampled_from(
    ['', '~', 'yes', '1', '-1', '1e999', '[]', '{}', '[a]', '{a: b}', "''", '"\\0"', '&a x', '*a', '<<', '(', '[[a]',
     '(?i)', 'a{9999999999}', '../x', 'x: y', '- z', '|', '|| true', '&', '"', "'", '\t', '\n', '#', 'ü', '0s', 'run']
)  # fmt: skip


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 3), fragments), min_size=1, max_size=4))
def test_a_corpus_with_any_damage_is_loaded_or_refused(somewhere: Path, damage: list[tuple[int, int, str]]) -> None:
    words = re.split(r'(\s+|[:,{}\[\]])', WHOLE)
    for position, length, fragment in damage:
        words[position : position + length] = [fragment]
    load_or_refuse(somewhere, ''.join(words).encode())


@pytest.mark.parametrize('seed', range(3))
def test_any_order_of_files_gives_the_same_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    monkeypatch.chdir(BAD)
    paths = [str(path.relative_to(BAD)) for path in BAD.rglob('*.*') if path.name != 'expected.txt']
    expected = problems(*sorted(paths))
    random.Random(seed).shuffle(paths)
    assert problems(*paths) == expected
