"""The fake gh: what is scripted, what is built in, and what neither knows."""

import json
from typing import Any

import pytest

from hack.exec_harness.driving import gh
from hack.exec_harness.model import Gh, GhMatch, GhReply

LEAK = {'number': 7, 'title': 'A leak', 'body': 'drips', 'labels': ['boat', {'name': 'urgent'}]}
DONE = {'number': 9, 'title': 'Done', 'state': 'closed'}
REPO = Gh(repo='owner/boat', default_branch='trunk', issues=(LEAK, DONE))


class Session:
    """A state and what it came to, call by call."""

    def __init__(self, scripted: Gh = REPO) -> None:
        self.gh, self.state = scripted, gh.start(scripted)

    def __call__(self, *argv: str, body: str | None = None) -> str:
        answered = gh.answer(self.gh, self.state, argv, body)
        assert (answered.reply.exit_code, answered.reply.stderr) == (0, '')
        self.state = answered.state
        return answered.reply.stdout

    def json(self, *argv: str) -> Any:
        return json.loads(self(*argv))

    def refusal(self, *argv: str) -> str:
        answered = gh.answer(self.gh, self.state, argv)
        assert (answered.reply.exit_code, answered.reply.stdout, answered.state) == (1, '', self.state)
        return answered.reply.stderr


def test_the_repository_is_the_scenarios() -> None:
    call = Session()
    assert call.json('repo', 'view', '--json', 'nameWithOwner,defaultBranchRef') == {
        'nameWithOwner': 'owner/boat',
        'defaultBranchRef': {'name': 'trunk'},
    }
    assert call('repo', 'view', '--json', 'defaultBranchRef', '-q', '.defaultBranchRef.name') == 'trunk\n'
    assert call('repo', 'view', 'owner/boat').startswith('name:\towner/boat\n')
    assert "Repository with the name 'other/one'" in call.refusal('repo', 'view', 'other/one')
    assert "Repository with the name 'other/one'" in call.refusal('issue', 'list', '-R', 'other/one')


def test_issues_are_listed_as_they_are_asked_for() -> None:
    call = Session()
    assert call('issue', 'list') == '7\tOPEN\tA leak\tboat, urgent\t2026-01-01T00:00:00Z\n'
    assert call('issue', 'list', '--state', 'all', '--json', 'number', '--jq', '.[].number') == '9\n7\n'
    assert call('issue', 'list', '-s', 'closed', '--json', 'title,state', '-q', '.[0].title') == 'Done\n'
    assert call.json('issue', 'list', '--label', 'boat,urgent', '--json', 'number') == [{'number': 7}]
    assert call('issue', 'list', '--label', 'boat', '--label', 'calm') == ''
    assert call.json('issue', 'list', '--search', 'DRIPS is:open', '--json', 'number') == [{'number': 7}]
    assert call('issue', 'list', '--search', 'nothing') == call('issue', 'list', '-L', '0') == ''


def test_an_issue_is_created_edited_commented_and_closed() -> None:
    call = Session()
    assert (
        call('issue', 'create', '-t', 'New', '-b', 'it is', '-l', 'a,b') == 'https://github.com/owner/boat/issues/10\n'
    )
    assert call('issue', 'edit', '10', '--title', 'Newer', '--add-label', 'c', '--remove-label', 'a') == (
        'https://github.com/owner/boat/issues/10\n'
    )
    url = 'https://github.com/owner/boat/issues/10#issuecomment-1\n'
    assert call('issue', 'comment', 'https://github.com/owner/boat/issues/10', '--body', 'Hm') == url
    assert call('issue', 'close', '10') == ''
    seen = call.json('issue', 'view', '10', '--json', 'title,body,state,labels')
    assert seen == {'title': 'Newer', 'body': 'it is', 'state': 'CLOSED', 'labels': [{'name': 'b'}, {'name': 'c'}]}
    assert call('issue', 'view', '10', '--comments') == 'author:\tdogfood\n--\nHm\n--\n'
    assert call('issue', 'view', '10', '--json', 'comments', '-q', '.comments[0].body') == 'Hm\n'
    assert call('issue', 'create', '--title', 'x', '--body-file', 'f', body='from f').endswith('/11\n')
    assert call('issue', 'view', '11') == 'title:\tx\nstate:\tOPEN\nlabels:\t\nnumber:\t11\n--\nfrom f\n'


def test_the_first_number_can_be_chosen() -> None:
    assert Session(REPO._replace(next_issue=41))('issue', 'create', '-t', 'x', '-b', '').endswith('/41\n')


def test_sub_issues_are_added_by_id_and_listed() -> None:
    call = Session()
    path = 'repos/owner/boat/issues/7/sub_issues'
    child = call('api', 'repos/owner/boat/issues/9', '--jq', '.id').strip()
    assert call.json('api', path) == []
    assert call('api', path, '-X', 'POST', '-F', f'sub_issue_id={child}', '-q', '.number') == '7\n'
    assert call('api', f'/{path}?per_page=100', '-q', '.[].title') == 'Done\n'
    assert 'duplicate' in call.refusal('api', path, '-F', f'sub_issue_id={child}')
    assert 'HTTP 404' in call.refusal('api', path, '-F', 'sub_issue_id=9')
    assert 'HTTP 404' in call.refusal('api', 'repos/owner/boat/pulls/7')
    assert 'HTTP 404' in call.refusal('api', path, '-X', 'DELETE')


def test_a_body_from_a_file_is_json_where_it_must_be() -> None:
    call = Session()
    child = call('api', 'repos/owner/boat/issues/9', '--jq', '.id').strip()
    path = 'repos/owner/boat/issues/7/sub_issues'
    call('api', path, '--method', 'post', '--input', '-', body=f'{{"sub_issue_id": {child}}}')
    assert call('api', path, '-q', '.[].number') == '9\n'


@pytest.mark.parametrize(
    ('argv', 'says'),
    [
        (('issue', 'view', '8'), 'number of 8'),
        (('issue', 'view', '7', '--json', 'tilte'), 'Unknown JSON field: "tilte"'),
        (('issue', 'view', '7', '--json', 'title', '-q', '.title | ascii_upcase'), 'does not know the jq query'),
        (('issue', 'view', '7', '--json', 'title', '-q', '.title.x'), 'selects nothing'),
        (('issue', 'view'), 'required: issue'),
        (('issue', 'list', '--colour'), '--colour'),
        (('issue', 'create', '--title', 'x'), 'must provide `--title` and `--body`'),
        (('issue', 'comment', '7'), 'flags required'),
        (('pr', 'list'), 'the fake gh does not know `gh pr list` (script it: gh.responses)'),
        (('issue', 'listing'), 'does not know `gh issue listing`'),
        ((), 'does not know `gh `'),
    ],
)
def test_what_cannot_be_done_is_refused_and_changes_nothing(argv: tuple[str, ...], says: str) -> None:
    assert says in Session().refusal(*argv)


def test_the_first_scripted_answer_that_matches_comes_before_all_built_in() -> None:
    scripted = REPO._replace(
        responses=(
            GhReply(GhMatch(exact='issue list'), 'one\n'),
            GhReply(GhMatch(prefix='issue'), 'two\n', 'hm\n', 3),
            GhReply(GhMatch(contains='--draft'), 'three\n'),
            GhReply(GhMatch(regex='^pr .*[0-9]$', prefix='pr v'), 'four\n'),
            GhReply(GhMatch(), 'matches nothing'),
        ),
        default_response=GhReply(stdout='else\n', exit_code=9),
    )

    def said(line: str) -> tuple[str, int, str]:
        answered = gh.answer(scripted, gh.start(scripted), line.split())
        return answered.reply.stdout, answered.reply.exit_code, answered.by

    assert said('issue list') == ('one\n', 0, 'responses[0]')
    assert said('issue list --state all') == ('two\n', 3, 'responses[1]')
    assert said('pr create --draft') == ('three\n', 0, 'responses[2]')
    assert said('pr view 12') == ('four\n', 0, 'responses[3]')
    assert said('pr close 12') == ('else\n', 9, 'default_response')
    assert said('repo view')[2] == 'repo view'


@pytest.mark.parametrize(
    ('line', 'file'),
    [
        ('issue create -t x --body-file notes.md', 'notes.md'),
        ('issue create -F -', '-'),
        ('issue edit 1 --body-file=notes.md', 'notes.md'),
        ('api x -F sub_issue_id=3', None),
        ('api x --input -', '-'),
        ('issue list', None),
    ],
)
def test_the_file_that_a_text_comes_from(line: str, file: str | None) -> None:
    assert gh.body_file(line.split()) == file
