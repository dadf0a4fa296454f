"""A fake `gh`, as a function: a command line and a state in, an answer and the next state out.

It keeps the issues of one repository. What the scenario scripts is answered first, then what is built in, then what
the scenario has for all else; a command that none of them knows fails, and says so.
"""

import argparse
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, NoReturn

from hack.exec_harness.model import Gh, GhMatch, GhReply

Issue = dict[str, Any]
State = Mapping[str, Any]  # {'next_issue': n, 'issues': [issue, …]}: JSON

_WHEN: Final = '2026-01-01T00:00:00Z'  # all happens at once
_USER: Final = {'login': 'dogfood'}
_ID_OFFSET: Final = 1_000_000  # an issue's id is not its number


class Answered(NamedTuple):
    reply: GhReply
    by: str  # 'responses[1]', 'issue create', 'default_response', or 'nothing'
    state: State


class _RefusedError(Exception):
    """What gh says on standard error when it exits 1."""


class _Words(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _RefusedError(message)


class _Call(NamedTuple):
    gh: Gh
    state: State
    asked: argparse.Namespace
    body: str | None  # what --body-file or --input names


def start(gh: Gh) -> State:
    """The state before the first call."""
    issues = [_issue(gh, dict(issue), place + 1) for place, issue in enumerate(gh.issues)]
    following = 1 + max((issue['number'] for issue in issues), default=0)
    return {'next_issue': gh.next_issue if gh.next_issue is not None else following, 'issues': issues}


def body_file(argv: Sequence[str]) -> str | None:
    """The file that a command line takes a text from, '-' for standard input; None: there is none."""
    flags = ('--body-file', '-F', '--input') if argv[:1] == ['issue'] else ('--input',)
    for place, word in enumerate(argv):
        name, has_value, value = word.partition('=')
        if name in flags:
            return value if has_value else ''.join(argv[place + 1 : place + 2])
    return None


def answer(gh: Gh, state: State, argv: Sequence[str], body: str | None = None) -> Answered:
    """What `gh ARGV…` says, and the state after it; `body`: what `body_file` named."""
    line = ' '.join(argv)
    for place, scripted in enumerate(gh.responses):
        if matches(scripted.match, line):
            return Answered(scripted, f'responses[{place}]', state)
    name = next((known for known in _COMMANDS if line == known or line.startswith(f'{known} ')), None)
    if name is None:
        if gh.default_response is not None:
            return Answered(gh.default_response, 'default_response', state)
        says = f'the fake gh does not know `gh {line}` (script it: gh.responses)\n'
        return Answered(GhReply(stderr=says, exit_code=1), 'nothing', state)
    command = _COMMANDS[name]
    try:
        asked = command.parser.parse_args(list(argv)[len(name.split()) :])
        _check_repository(gh, getattr(asked, 'repo', None) or getattr(asked, 'repository', None))
        stdout, after = command.act(_Call(gh, state, asked, body))
    except _RefusedError as error:
        return Answered(GhReply(stderr=f'{error}\n', exit_code=1), name, state)
    return Answered(GhReply(stdout=stdout), name, after)


def _check_repository(gh: Gh, named: str | None) -> None:
    if named is not None and named.removeprefix('https://github.com/') != gh.repo:
        raise _RefusedError(f"GraphQL: Could not resolve to a Repository with the name '{named}'.")


def matches(match: GhMatch, line: str) -> bool:
    """Whether a command line is the one meant; a match that says nothing means none."""
    tests = [
        match.exact is None or line == match.exact,
        match.prefix is None or line.startswith(match.prefix),
        match.contains is None or match.contains in line,
        match.regex is None or re.search(match.regex, line) is not None,
    ]
    return match != GhMatch() and all(tests)


# -- the state ----------------------------------------------------------------------------


def _issue(gh: Gh, given: Issue, number: int) -> Issue:
    """An issue with all that one has."""
    number = given.get('number', number)
    labels = [label if isinstance(label, dict) else {'name': str(label)} for label in given.get('labels', ())]
    usual = {
        'id': _ID_OFFSET + number,
        'title': '',
        'body': '',
        'author': _USER,
        'assignees': [],
        'comments': [],
        'createdAt': _WHEN,
        'updatedAt': _WHEN,
        'url': f'https://github.com/{gh.repo}/issues/{number}',
        'sub_issues': [],
    }
    state = str(given.get('state', 'open')).upper()
    return usual | given | {'number': number, 'state': state, 'labels': labels}


def _find(call: _Call, wanted: str) -> Issue:
    number = wanted.rpartition('/')[2].lstrip('#')
    for issue in call.state['issues']:
        if str(issue['number']) == number:
            return dict(issue)
    raise _RefusedError(f'GraphQL: Could not resolve to an issue or pull request with the number of {number}.')


def _with(state: State, changed: Issue) -> State:
    """The state in which an issue is as it is now, or is there as well."""
    kept = [changed if issue['number'] == changed['number'] else issue for issue in state['issues']]
    is_new = all(issue['number'] != changed['number'] for issue in state['issues'])
    return {**state, 'issues': [*kept, changed] if is_new else kept}


# -- what it knows ------------------------------------------------------------------------


def _repo_view(call: _Call) -> tuple[str, State]:
    owner, _, name = call.gh.repo.partition('/')
    told = {
        'name': name,
        'nameWithOwner': call.gh.repo,
        'owner': {'login': owner},
        'defaultBranchRef': {'name': call.gh.default_branch},
        'url': f'https://github.com/{call.gh.repo}',
    }
    return _told(call, told) or f'name:\t{call.gh.repo}\ndescription:\t\n', call.state


def _issue_list(call: _Call) -> tuple[str, State]:
    asked = call.asked
    wanted = [
        issue
        for issue in reversed(call.state['issues'])
        if asked.state in ('all', issue['state'].lower())
        and set(asked.label) <= {label['name'] for label in issue['labels']}
        and all(word.lower() in f'{issue["title"]} {issue["body"]}'.lower() for word in _words(asked.search))
    ][: asked.limit]
    rows = ''.join(
        f'{issue["number"]}\t{issue["state"]}\t{issue["title"]}\t'
        f'{", ".join(label["name"] for label in issue["labels"])}\t{issue["updatedAt"]}\n'
        for issue in wanted
    )
    return (_told(call, wanted) if asked.json else rows), call.state


def _issue_view(call: _Call) -> tuple[str, State]:
    issue = _find(call, call.asked.issue)
    labels = ', '.join(label['name'] for label in issue['labels'])
    head = f'title:\t{issue["title"]}\nstate:\t{issue["state"]}\nlabels:\t{labels}\nnumber:\t{issue["number"]}\n'
    said = ''.join(f'author:\t{note["author"]["login"]}\n--\n{note["body"]}\n--\n' for note in issue['comments'])
    text = said if call.asked.comments else f'{head}--\n{issue["body"]}\n'
    return (_told(call, issue) if call.asked.json else text), call.state


def _issue_create(call: _Call) -> tuple[str, State]:
    if call.asked.title is None or _body(call) is None:
        raise _RefusedError('must provide `--title` and `--body` when not running interactively')
    given = {'title': call.asked.title, 'body': _body(call), 'labels': call.asked.label, 'author': _USER}
    given['assignees'] = [{'login': login} for login in call.asked.assignee]
    issue = _issue(call.gh, given, call.state['next_issue'])
    return f'{issue["url"]}\n', _with({**call.state, 'next_issue': issue['number'] + 1}, issue)


def _issue_edit(call: _Call) -> tuple[str, State]:
    issue, asked = _find(call, call.asked.issue), call.asked
    kept = [label for label in issue['labels'] if label['name'] not in (*asked.remove_label, *asked.add_label)]
    issue['labels'] = [*kept, *({'name': name} for name in asked.add_label)]
    issue['title'] = issue['title'] if asked.title is None else asked.title
    body = _body(call)
    issue['body'] = issue['body'] if body is None else body
    return f'{issue["url"]}\n', _with(call.state, issue)


def _issue_comment(call: _Call) -> tuple[str, State]:
    issue, body = _find(call, call.asked.issue), _body(call)
    if body is None:
        raise _RefusedError('flags required when not running interactively')
    number = 1 + sum(len(each['comments']) for each in call.state['issues'])
    url = f'{issue["url"]}#issuecomment-{number}'
    issue['comments'] = [*issue['comments'], {'author': _USER, 'body': body, 'createdAt': _WHEN, 'url': url}]
    return f'{url}\n', _with(call.state, issue)


def _issue_state(state: str) -> Callable[[_Call], tuple[str, State]]:
    def act(call: _Call) -> tuple[str, State]:
        issue = _find(call, call.asked.issue)
        return '', _with(call.state, {**issue, 'state': state})

    return act


def _api(call: _Call) -> tuple[str, State]:
    """Issues by number, and the sub-issues of one: what `gh issue` cannot say."""
    path = call.asked.path.lstrip('/').partition('?')[0]
    match = re.fullmatch(rf'repos/{re.escape(call.gh.repo)}/issues/(\d+)(/sub_issues)?', path)
    fields = _fields(call)
    method = call.asked.method or ('POST' if fields else 'GET')
    if match is None or method not in ('GET', 'POST') or (method == 'POST' and not match[2]):
        raise _RefusedError(f'gh: Not Found (HTTP 404): the fake gh does not know {method} {path}')
    issue = _find(call, match[1])
    by_id = {str(each['id']): each for each in call.state['issues']}
    if method == 'GET':
        found: Any = [by_id[str(each)] for each in issue['sub_issues']] if match[2] else issue
        return _selected(found, call.asked.jq), call.state
    child = by_id.get(str(fields.get('sub_issue_id')))
    if child is None:
        raise _RefusedError('gh: The provided sub-issue does not exist (HTTP 404)')
    if child['id'] in issue['sub_issues']:
        raise _RefusedError('gh: Issue may not contain duplicate sub-issues (HTTP 422)')
    issue['sub_issues'] = [*issue['sub_issues'], child['id']]
    return _selected(issue, call.asked.jq), _with(call.state, issue)


def _fields(call: _Call) -> dict[str, Any]:
    try:
        given = json.loads(call.body) if call.body else {}
    except ValueError as error:
        raise _RefusedError(f'gh: Problems parsing JSON (HTTP 400): {error}') from error
    return {**given, **dict(field.partition('=')[::2] for field in (*call.asked.field, *call.asked.raw_field))}


def _body(call: _Call) -> str | None:
    body: str | None = call.asked.body
    return call.body if body is None else body


def _words(search: str) -> list[str]:
    """Of a search, the words; its qualifiers (`is:open`, `in:title`) are not for us."""
    return [word.strip('"') for word in search.split() if ':' not in word]


def _told(call: _Call, value: Any) -> str:
    """The fields that --json names, of one object or of each; empty where it names none."""
    if not call.asked.json:
        return ''
    names = call.asked.json.split(',')
    objects = value if isinstance(value, list) else [value]
    for name in names:
        if any(name not in each for each in objects):
            raise _RefusedError(f'Unknown JSON field: "{name}"')
    chosen = [{name: each[name] for name in names} for each in objects]
    return _selected(chosen if isinstance(value, list) else chosen[0], call.asked.jq)


def _selected(value: Any, query: str | None) -> str:
    """What a jq path selects (`.a.b`, `.[0].a`, `.[].a`), one line each; texts stand for themselves."""
    if query is None:
        return json.dumps(value, ensure_ascii=False) + '\n'
    if not re.fullmatch(r'\.|(?:\.?\[\d*\]|\.\w+)+', query):
        raise _RefusedError(
            f'the fake gh does not know the jq query {query} (it knows paths; or script it: gh.responses)'
        )
    values = [value]
    try:
        for key, index in re.findall(r'\.(\w+)|\[(\d*)\]', query):
            if key:
                values = [each[key] for each in values]
            else:
                values = [item for each in values for item in (each if index == '' else [each[int(index)]])]
    except (KeyError, IndexError, TypeError) as error:
        raise _RefusedError(f'the jq query {query} selects nothing: {error}') from error
    return ''.join(f'{each if isinstance(each, str) else json.dumps(each, ensure_ascii=False)}\n' for each in values)


# -- how it is asked ----------------------------------------------------------------------


class _Command(NamedTuple):
    parser: _Words
    act: Callable[[_Call], tuple[str, State]]


_SEVERAL: Final[Mapping[str, Any]] = {'action': 'extend', 'type': lambda names: names.split(','), 'default': []}
_OPTIONS: Final[Mapping[str, tuple[tuple[str, ...], Mapping[str, Any]]]] = {
    'add_label': (('--add-label',), _SEVERAL),
    'assignee': (('-a', '--assignee'), _SEVERAL),
    'body': (('-b', '--body'), {}),
    'body_file': (('-F', '--body-file'), {}),
    'comments': (('-c', '--comments'), {'action': 'store_true'}),
    'field': (('-F', '--field'), {'action': 'append', 'default': []}),
    'header': (('-H', '--header'), {'action': 'append'}),
    'input': (('--input',), {}),
    'issue': (('issue',), {}),
    'jq': (('-q', '--jq'), {}),
    'json': (('--json',), {}),
    'label': (('-l', '--label'), _SEVERAL),
    'limit': (('-L', '--limit'), {'type': int, 'default': 30}),
    'method': (('-X', '--method'), {'type': str.upper}),
    'path': (('path',), {}),
    'raw_field': (('-f', '--raw-field'), {'action': 'append', 'default': []}),
    'reason': (('-r', '--reason'), {}),
    'remove_label': (('--remove-label',), _SEVERAL),
    'repo': (('-R', '--repo'), {}),
    'repository': (('repository',), {'nargs': '?'}),
    'search': (('-S', '--search'), {'default': ''}),
    'state': (('-s', '--state'), {'choices': ['open', 'closed', 'all'], 'default': 'open'}),
    'title': (('-t', '--title'), {}),
}


def _command(act: Callable[[_Call], tuple[str, State]], *options: str) -> _Command:
    parser = _Words(add_help=False, allow_abbrev=False)
    for name in options:
        names, how = _OPTIONS[name]
        parser.add_argument(*names, **how)
    return _Command(parser, act)


def _say(text: str) -> Callable[[_Call], tuple[str, State]]:
    return lambda call: (text, call.state)


_COMMANDS: Final[Mapping[str, _Command]] = {
    '--version': _command(_say('gh version 2.0.0 (fake)\n')),
    'auth status': _command(_say('github.com\n  ✓ Logged in to github.com account dogfood\n')),
    'repo view': _command(_repo_view, 'repository', 'json', 'jq'),
    'issue list': _command(_issue_list, 'repo', 'state', 'label', 'search', 'limit', 'json', 'jq'),
    'issue view': _command(_issue_view, 'issue', 'repo', 'comments', 'json', 'jq'),
    'issue create': _command(_issue_create, 'repo', 'title', 'body', 'body_file', 'label', 'assignee'),
    'issue edit': _command(_issue_edit, 'issue', 'repo', 'title', 'body', 'body_file', 'add_label', 'remove_label'),
    'issue comment': _command(_issue_comment, 'issue', 'repo', 'body', 'body_file'),
    'issue close': _command(_issue_state('CLOSED'), 'issue', 'repo', 'reason'),
    'issue reopen': _command(_issue_state('OPEN'), 'issue', 'repo'),
    'api': _command(_api, 'path', 'method', 'field', 'raw_field', 'header', 'input', 'jq'),
}
