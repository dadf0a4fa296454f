"""Finds what in a step's script hides a failure, under `bash -eo pipefail`.

It reads as much of the shell's grammar as it takes to be right. A script with compound commands, here-documents or
anything else beyond that is left alone: a false warning is worse than a missing one. Mind what errexit does: in
`product; exit 0` a failing product ends the script, so that nothing is hidden.
"""

import re
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
_WORTH_READING: Final = re.compile(r'[|&;!]|\A\s*(?:(?:true|echo|printf|sleep|set)\b|:)')
_ALWAYS_ZERO: Final = frozenset(('true', ':', 'echo', 'printf', 'sleep'))
_SAYS_NOTHING: Final = frozenset(('true', ':', 'echo'))
_REDIRECTION: Final = re.compile(r'[<>](?!&)')
_PIPES: Final = ('|', '|&')
_HEAD_TO_THE_END: Final = re.compile(r'(?:-[nc]\s*|--(?:lines|bytes)[=\s]\s*)-\d')  # all but the last 3
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
    elif by_exit_alone and (hider := _hider(commands)):
        found.append(
            f'this step cannot fail: {hider!r} hides every failure (remove it, or expect some output or a file)'
        )
    for reader in _early_readers(script, commands):
        found.append(
            f'{_shown(reader)} may stop reading before the writer is done, which then dies of SIGPIPE: '
            'exit 141, now and then (write to a file first, or expect the text with stdout: {contains: …})'
        )
    for pipeline in _pipelines(commands)[:-1]:
        if pipeline[0].word == '!' and pipeline[-1].operator in (';', '\n'):
            found.append(
                f'{_shown(pipeline[0])} is not the last command, so that it fails no step whatever it finds '
                '(make it a step of its own that expects exit: nonzero)'
            )
    return found


def _hider(commands: list[Command]) -> str | None:
    """What makes the whole script exit 0, whatever happens in it."""
    *others, last = commands
    if not others or not _is_always_zero(last):
        return None
    if others[0].text in ('set +e', 'set +o errexit'):
        return others[0].text
    one_list = all(command.operator not in ('&', ';', '\n') for command in others)
    return f'|| {last.word}' if one_list and others[-1].operator == '||' else None


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


def _pipelines(commands: list[Command]) -> list[list[Command]]:
    pipelines: list[list[Command]] = [[]]
    for command in commands:
        pipelines[-1].append(command)
        if command.operator not in _PIPES:
            pipelines.append([])
    return [pipeline for pipeline in pipelines if pipeline]


def _is_always_zero(command: Command) -> bool:
    if command.operator in (*_PIPES, '&') or _REDIRECTION.search(command.text):
        return False
    return command.word in _ALWAYS_ZERO or command.text.split() == ['exit', '0']


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
