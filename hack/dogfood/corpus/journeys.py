"""Loads a corpus: files of journeys as values that hold together, or everything that is wrong with them at once."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from hack.common import regex
from hack.common.collector import paused
from hack.common.errors import UserError
from hack.common.schema import Schema, Violation
from hack.common.source import NOWHERE, Document, Problem, Table, parse_yaml, read
from hack.dogfood.corpus import coherence, graph, masks, strength, values
from hack.dogfood.corpus.coherence import Claim, Declared
from hack.dogfood.model import Capability, Corpus, CorpusFile, Feature, Journey, Step

_SCHEMA_FOLDER: Final = Path(__file__).resolve().parents[1] / 'schema'
_ENDINGS: Final = ('.yaml', '.yml', '.json')
_OTHER_FILES: Final = ('triage.yaml',)  # beside the journeys, but none


class _Part(NamedTuple):
    """What one file comes to, as far as it could be read."""

    file: CorpusFile
    feature: Feature
    claims: list[Claim]
    declared: list[Declared]


class _Script(NamedTuple):
    text: str
    document: Document
    at: tuple[str | int, ...]
    within: Any = None

    def problem(self, said: str) -> Problem:
        return self.document.problem(f'bash cannot read this: {said} (mend it)', self.at, within=self.within)


class _Found(NamedTuple):
    """What is to be said about the files, collected while they are read."""

    problems: list[Problem]
    warnings: list[Problem]
    doubtful: set[str]  # words that could not be placed: each may be a token that something establishes
    scripts: list[_Script]  # all that bash is to run


@paused()
def load(paths: Sequence[str], bash: str | None = None) -> Corpus:
    """The journeys below these files and folders; raises UserError with everything that is wrong with them.

    `bash`: reads all scripts beforehand, and runs none; None: nobody does, so that nothing depends on this machine.
    """
    if not paths:
        raise UserError('the corpus: no path to it (name a folder or a file with journeys)')
    found = _Found([], [], set(), [])
    schema = _schema()
    parts = [part for path in _files(paths, found) if (part := _part(path, schema, found))]
    claims = [claim for part in parts for claim in part.claims]
    declared = [declaration for part in parts for declaration in part.declared]
    found.problems.extend(coherence.problems(claims, declared, found.doubtful))
    if bash:
        from hack.dogfood.corpus import syntax  # twenty milliseconds

        said = syntax.unreadable([script.text for script in found.scripts], bash)
        found.problems.extend(found.scripts[number].problem(what) for number, what in said.items())
    if found.problems:
        raise UserError(_lines(found.problems))
    journeys = {claim.journey.id: claim.journey for claim in claims}
    return Corpus(
        files=tuple(part.file for part in parts),
        features={part.file.path: part.feature for part in parts},
        capabilities=_capabilities(journeys, declared),
        journeys=journeys,
        warnings=tuple(_lines(found.warnings)),
    )


def starting_corpus(feature: str) -> str:
    """A commented corpus for a new feature, which passes `check` as it stands."""
    word = '-'.join(re.findall('[a-z0-9]+', feature.lower()))[:40].strip('-')
    if not word or not feature.isprintable():
        raise UserError(f'{feature!r} is no name for a feature (give it a few plain words, as in local images)')
    quoted = "'" + feature.replace("'", "''") + "'"
    text = (_SCHEMA_FOLDER / 'template.yaml').read_text(encoding='utf-8')
    return text.replace('my-feature', word).replace('my feature', quoted, 1)


def _lines(problems: Iterable[Problem]) -> list[str]:
    return [str(problem) for problem in sorted(set(problems))]


def _capabilities(journeys: Mapping[str, Journey], declared: Iterable[Declared]) -> dict[str, Capability]:
    known = {declaration.capability.token: declaration.capability for declaration in declared}
    return {
        token: known.get(token) or Capability(token, feature=journeys[names[0]].path)
        for token, names in graph.establishers(journeys).items()
    }


# -- files ---------------------------------------------------------------------------------


def _files(paths: Iterable[str], found: _Found) -> list[str]:
    """The files to read, each once, sorted; paths are as they were given."""
    by_place: dict[str, str] = {}
    for path in sorted(paths):
        files = _below(path, found) if os.path.isdir(path) else [path]
        files = [file for file in files if os.path.basename(file) not in _OTHER_FILES]
        if not files:
            what = 'no journeys here (name a folder or a file that holds some, in YAML)'
            found.problems.append(Problem(path, NOWHERE, what))
        for file in files:
            by_place.setdefault(os.path.realpath(file), file)
    return sorted(by_place.values())


def _below(folder: str, found: _Found) -> list[str]:
    def complain(error: OSError) -> None:
        what = f'cannot be read: {error.strerror} (check its permissions)'
        found.problems.append(Problem(str(error.filename), NOWHERE, what))

    files: list[str] = []
    for parent, folders, names in os.walk(folder, onerror=complain):
        folders[:] = [name for name in folders if not name.startswith('.')]
        shown = [name for name in names if name.endswith(_ENDINGS) and not name.startswith('.')]
        files.extend(os.path.join(parent, name) for name in shown)
    return sorted(files)


def _part(path: str, schema: Schema, found: _Found) -> _Part | None:
    text = read(path, found.problems)
    if text is None:
        return None
    document = parse_yaml(path, text, found.problems)
    if document is None:
        found.doubtful.update(re.findall(r'[a-z0-9]+(?:-[a-z0-9]+)*', text.decode()))
        return None
    violations = schema.violations(document)
    found.problems.extend(violation.problem for violation in violations)
    _leave_out(violations, document, found.doubtful)
    if not isinstance(document.data, Table):
        return None
    feature = values.feature(document.data, path)
    for pattern in filter(_matches_anything, feature.crash_allowed):
        what = f'{pattern!r} allows every crash (name the line that is meant)'
        found.warnings.append(document.problem(what, ('crash_markers', 'allow')))
    _check_commands(document, found)
    return _Part(
        CorpusFile(path, hashlib.sha256(text).hexdigest()),
        feature,
        list(_claims(document, feature, found)),
        list(_declared(document)),
    )


def _declared(document: Document) -> Iterator[Declared]:
    raw = document.data.get('capabilities', {})
    for token, said in raw.items():
        capability = values.capability(token, said, document.path)
        yield Declared(capability, document.problem('', (token,), of_key=True, within=raw))


def _claims(document: Document, feature: Feature, found: _Found) -> Iterator[Claim]:
    entries = document.data.get('journeys', ())
    for number, raw in enumerate(entries):
        if isinstance(raw, Table):
            journey = values.journey(raw, feature, entries.place(number).line)
            _check_steps(document, raw, journey, found)
            for place, command in enumerate(journey.teardown):
                at = ('teardown', place) if isinstance(raw['teardown'], list) else ('teardown',)
                found.scripts.append(_Script(command, document, at, raw))
            if journey.id:
                yield Claim(journey, document, raw)


def _leave_out(violations: Sequence[Violation], document: Document, doubtful: set[str]) -> None:
    """Go on with what is sound: without the keys of the file, or of a journey, in which something is wrong."""
    for violation in violations:
        subject = document.data
        for step in violation.path[: 2 if violation.path[:1] == ('journeys',) else 1]:
            subject = subject[step]
        doubtful.update(_words(subject))
    for violation in violations:
        match violation.path:
            case ['journeys', index, key, *_]:
                document.data['journeys'][index].drop(key)
            case ['journeys', _] | []:
                pass  # no mapping, or one without a key that is required: seen when it is built
            case [key, *_]:
                document.data.drop(key)


def _words(value: Any) -> Iterator[str]:
    """All texts in the value, but for the required tokens: who requires one does not establish it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _words(inner) if key != 'requires' else ()
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner)


# -- checks beyond the schema --------------------------------------------------------------


def _schema() -> Schema:
    text = (_SCHEMA_FOLDER / 'journeys.schema.json').read_text(encoding='utf-8')
    return Schema(text, {'python-regex': regex.fault, 'crash-marker': _crash_marker_fault})


def _crash_marker_fault(marker: str) -> str | None:
    """Markers are joined to one expression over raw output."""
    if fault := regex.fault(marker.encode()) or regex.fault(f'(?:{marker})'.encode()):
        return fault
    if re.search(r'\(\?P|\\[1-9]', marker):
        return 'names a group, or refers to one, as markers cannot (write it without)'
    if _matches_anything(marker):
        return 'is found in every output, so that every step would be a crash (name what only a crash says)'
    return None


def _matches_anything(pattern: str) -> bool:
    return bool(re.search(pattern, '') and re.search(pattern, 'any other line'))


def _check_steps(document: Document, raw: Table, journey: Journey, found: _Found) -> None:
    """A decisive step must be able to fail; what looks weak besides is worth a warning."""

    def say(collected: list[Problem], text: str, *at: str | int) -> None:
        collected.append(document.problem(text, ('steps', *at), within=raw))

    for number, step in enumerate(journey.steps):
        found.scripts.append(_Script(step.run, document, ('steps', number, 'run'), raw))
        expect = step.expect
        checks = [expect.stdout, expect.stderr, *(check.text for check in expect.files)]
        for pattern in [check.matches for check in checks if check and check.matches]:
            if _matches_anything(pattern):
                say(
                    found.problems, f'{pattern!r} is found in every text, also in none (say what must be there)', number
                )
        by_exit_alone = expect.stdout is None and expect.stderr is None and not expect.files
        if step.core and 'expect' not in raw['steps'][number]:
            what = f'a decisive step of {journey.id!r} says nothing (give it an expect, at least {{exit: 0}})'
            say(found.problems, what, number)
        elif step.core and by_exit_alone and (ending := masks.hidden_by(step.run)):
            what = (
                f'a decisive step of {journey.id!r} says nothing: it expects an exit status alone and ends in '
                f"{ending!r} (let the product's own command come last, or expect some output or a file)"
            )
            say(found.problems, what, number, 'run')
        else:
            for what in (*masks.warnings(step.run, step.core, by_exit_alone), *_weakness(step)):
                say(found.warnings, what, number, 'run')


def _weakness(step: Step) -> Iterator[str]:
    """What of the output a product that does nothing would have too, where the exit status does not tell either."""
    expect = step.expect
    weak = (expect.stdout or expect.stderr) and not expect.files and not strength.output_tells(step)
    if weak and (hider := masks.always_passes(step.run)):
        why = 'is what the step itself prints' if masks.own_words(step.run) else 'holds of no output at all too'
        yield (
            f'a product that does nothing passes this step: {hider!r} makes its exit status always 0, and what it '
            f'expects of the output {why} (expect what the product prints)'
        )


def _check_commands(document: Document, found: _Found) -> None:
    """Probes and invariants must be able to fail."""
    declared = document.data.get('capabilities', {}).items()
    commands = [('probe', ('capabilities', token, 'probe'), said.get('probe', '')) for token, said in declared]
    invariants = enumerate(document.data.get('invariants', ()))
    commands += [('invariant', ('invariants', number, 'run'), said['run']) for number, said in invariants]
    for what, at, command in commands:
        found.scripts.append(_Script(command, document, at))
        if hider := masks.always_passes(command):
            text = f'this {what} cannot fail: {hider!r} makes its exit status always 0 (exit 1 where it does not hold)'
            found.warnings.append(document.problem(text, at))
