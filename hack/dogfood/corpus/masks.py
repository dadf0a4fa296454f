"""Finds what in a step's script hides a failure, under `bash -eo pipefail`.

It reads as much of the shell's grammar as it takes to be right. A script with compound commands, here-documents or
anything else beyond that is left alone: a false warning is worse than a missing one. Mind what errexit does: in
`product; exit 0` a failing product ends the script, so that nothing is hidden.
"""

import re
import shlex
from collections.abc import Iterator
from itertools import pairwise, takewhile
from typing import Final, NamedTuple


class Command(NamedTuple):
    text: str
    operator: str  # that follows it: && || | & ; a line break, or '' at the end

    @property
    def word(self) -> str:
        return self.text.split(None, 1)[0]


_TOKEN: Final = re.compile(
    r"""
      (?P<atom> \\. | '[^']*' | \$'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | \$\{[^}]*\} | >\| | [<>]&[-0-9]* | &>>? | <<<
        | (?<![^\s;&|()])\#[^\n]* )
    | (?P<operator> && | \|\| | \|&? | & | ; | \n )
    | (?P<opening> \( )
    | (?P<closing> \) )
    | (?P<unread> << | ['"`] )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMPOUND: Final = re.compile(
    r'(?:!\s+)?(?:(?:if|then|elif|else|fi|for|while|until|do|done|case|esac|select|function|coproc|[{}])(?!\S)|\[\[|\()'
)
_WORTH_READING: Final = re.compile(r'[|&;!]|\$\(|\A\s*(?:(?:true|echo|printf|sleep|set)\b|:)|\n\s*echo\b')
_ALWAYS_ZERO: Final = frozenset(('true', ':', 'echo', 'printf', 'sleep'))
_SAYS_NOTHING: Final = frozenset(('true', ':', 'echo'))
_REDIRECTION: Final = re.compile(r'[<>](?!&)')
_PIPES: Final = ('|', '|&')
_HEAD_TO_THE_END: Final = re.compile(r'(?:-[nc]\s*|--(?:lines|bytes)[=\s]\s*)-\d')  # all but the last 3
_ASKS: Final = frozenset(
    ('test', '[', '!', 'grep', 'egrep', 'fgrep', 'command', 'type', 'hash', 'which')
)  # as `if` would
_DECLARE: Final = frozenset(('export', 'readonly', 'declare', 'typeset', 'local'))
_SUBSTITUTION: Final = re.compile(r'=.*\$\((?!\()', re.DOTALL)
_EXPANDED: Final = re.compile(r'[$`\\*?~{]')
_PRINTS: Final = frozenset(('echo', 'printf'))  # in one write, before the reader can be gone


def hidden_by(script: str) -> str | None:
    """The ending because of which the script's exit status says nothing about the product, if it has one."""
    commands = _split(script)
    if not commands:
        return None
    last = commands[-1]
    before = commands[-2].operator if len(commands) > 1 else ''
    if last.operator == '&':
        return '&'
    if before == '||' and _is_always_zero(last):
        return f'|| {last.word}'
    if before == ';' and last.word in _SAYS_NOTHING and _is_always_zero(last):
        return f'; {last.word}'
    return None


def warnings(script: str, decisive: bool, by_exit_alone: bool) -> list[str]:
    """What makes the step weaker than it looks, each `what (what to do)`.

    `by_exit_alone`: the step expects an exit status and nothing else.
    """
    commands = _split(script)
    if not commands:
        return []
    found = []
    if by_exit_alone and decisive and all(map(_is_always_zero, commands)):
        found.append(
            f'the step is decisive but expects only an exit status, and that of {commands[-1].word!r} is always 0 '
            '(run the product, or expect some output or a file)'
        )
    elif (
        by_exit_alone and (hider := _hider(commands)) and (decisive or hider != '&')
    ):  # who starts a daemon uses it later
        found.append(
            f'this step cannot fail: {hider!r} hides every failure (remove it, or expect some output or a file)'
        )
    return [*found, *_at_random(script, commands), *_unheeded(commands)]


def always_passes(script: str) -> str | None:
    """What makes a probe or an invariant exit 0 whatever is the case, if something does."""
    commands = _split(script)
    if not commands:
        return None
    return commands[-1].word if all(map(_is_always_zero, commands)) else _hider(commands)


def own_words(script: str) -> str:
    """What the script itself prints with `echo`, whatever the product does; what it would have to expand left out."""
    commands = _split(script) if 'echo' in script else None
    starts = [True, *(command.operator in (';', '\n', '&') for command in commands or ())]
    said = [
        ' '.join(shlex.split(command.text)[1:]).removeprefix('-n ')
        for command, is_start in zip(commands or (), starts, strict=False)
        if is_start and command.word == 'echo' and _is_always_zero(command) and not _EXPANDED.search(command.text)
    ]
    return ''.join(f'{line}\n' for line in said)


def _at_random(script: str, commands: list[Command]) -> Iterator[str]:
    for reader in _early_readers(script, commands):
        yield (
            f'{_shown(reader)} may stop reading before the writer is done, which then dies of SIGPIPE: '
            'exit 141, now and then (write to a file first, or expect the text with stdout: {contains: …})'
        )


def _unheeded(commands: list[Command]) -> Iterator[str]:
    """What errexit does not heed because more follows."""
    for pipeline in _pipelines(commands)[:-1]:
        if pipeline[0].word == '!' and pipeline[-1].operator in (';', '\n'):
            yield (
                f'{_shown(pipeline[0])} is not the last command, so that it fails no step whatever it finds '
                '(make it a step of its own that expects exit: nonzero)'
            )
    for command in commands:
        if command.word in _DECLARE and _SUBSTITUTION.search(command.text):
            yield (
                f'{_shown(command)} exits 0 whatever the command in it does (write `name=$(…)` first, and '
                f'`{command.word} name` after it)'
            )
    for several in _lists(commands)[:-1]:
        before = [command for pipeline in _pipelines(several)[:-1] for command in pipeline]
        is_asked = any(command.operator == '||' or command.word in _ASKS for command in before)
        if not is_asked and not all(map(_is_always_zero, before)):
            yield (
                f'{_shown(before[0])} fails no step: where more commands follow, only the last of an `&&` list is '
                'heeded (give each a line of its own)'
            )


def _hider(commands: list[Command]) -> str | None:
    """What makes the whole script exit 0, whatever happens in it."""
    if len(commands) > 1 and commands[0].text in ('set +e', 'set +o errexit'):
        return commands[0].text if _is_always_zero(commands[-1]) else None
    endings = [_ending(several) for several in _lists(commands)]
    return next(filter(None, endings), None) if None not in endings else None


def _ending(commands: list[Command]) -> str | None:
    """What makes a list exit 0, whatever happens in it; empty where nothing can happen, None where it may fail."""
    *others, last = commands
    if last.operator == '&':
        return '&'
    if not _is_always_zero(last) or (others and others[-1].operator != '||'):
        return None
    return f'|| {last.word}' if others else ''


def closes_early(script: str) -> bool:
    """Whether a pipeline of the script has a reader that may leave before its writer is done."""
    return any(_early_readers(script, _split(script) or []))


def _early_readers(script: str, commands: list[Command]) -> Iterator[Command]:
    if 'set +o pipefail' in script:
        return
    for pipeline in _pipelines(commands):
        for writer, reader in pairwise(pipeline if pipeline[-1].operator != '||' else ()):
            if writer.word not in _PRINTS and _stops_early(reader):
                yield reader


def _stops_early(reader: Command) -> bool:
    if reader.word == 'head':
        return not _HEAD_TO_THE_END.search(reader.text)
    return reader.word in ('grep', 'egrep', 'fgrep') and any(
        option in ('--quiet', '--silent') or option.startswith('--max-count') or re.match('-[^-efABC]*[qm]', option)
        for option in takewhile(lambda word: re.match('-.*[^efABC-]$', word), reader.text.split()[1:])
    )


def _lists(commands: list[Command]) -> list[list[Command]]:
    """What `&&`, `||` and `|` join."""
    lists: list[list[Command]] = [[]]
    for command in commands:
        lists[-1].append(command)
        if command.operator in (';', '\n', '&'):
            lists.append([])
    return [several for several in lists if several]


def _pipelines(commands: list[Command]) -> list[list[Command]]:
    pipelines: list[list[Command]] = [[]]
    for command in commands:
        pipelines[-1].append(command)
        if command.operator not in _PIPES:
            pipelines.append([])
    return [pipeline for pipeline in pipelines if pipeline]


def _is_always_zero(command: Command) -> bool:
    if command.operator in _PIPES or _REDIRECTION.search(command.text):
        return False
    return command.word in _ALWAYS_ZERO or command.text.split() in (['exit', '0'], ['wait'])


def _shown(command: Command) -> str:
    first_line = command.text.splitlines()[0]
    return f'`{first_line if len(first_line) <= 40 else first_line[:40] + "…"}`'


def _split(script: str) -> list[Command] | None:
    """The script's commands and what joins them; None where it takes more of the grammar to tell."""
    if not _WORTH_READING.search(script):
        return None
    commands: list[Command] = []
    start = depth = 0
    for match in _TOKEN.finditer(script + '\n'):
        kind, text = match.lastgroup, match[0]
        if kind == 'unread' or (text[0] == '"' and text.count('$(') and text.count('(') != text.count(')')):
            return None
        depth += (kind == 'opening') - (kind == 'closing')
        if depth < 0:
            return None
        if kind == 'operator' and depth == 0:
            command = script[start : match.start()].strip()
            start = match.end()
            if command and not command.startswith('#'):
                commands.append(Command(command, text))
            elif text != '\n':  # `;;`, or an operator at the start of a line
                return None
    return None if depth or any(_COMPOUND.match(command.text) for command in commands) else commands
