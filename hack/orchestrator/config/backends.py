"""The agent programs that are known from the start, as data; tables `[backend.NAME]` of a project override them.

What is measured of them, and what is only reported, stands in the README.
"""

from typing import Final

from hack.orchestrator.model import Backend

_SPINNERS: Final = (
    r'^\s*[·✢✳✶✻✽*⠁-⣿|/\\-]\s',  # a spinner and what it says
    r'\b(esc|ctrl\+c) to interrupt\b',
    r'^\s*[╭╰│┌└─━]',  # the box around the input, and rules
    r'^\s*[>❯›▌]\s?',  # the input itself
    r'\? for shortcuts|ctrl\+[a-z] |context left|bypass permissions|tokens used',
)
_WHEN: Final = r'resets?(?: at)?|try again (?:at|in)|available (?:again )?(?:at|in)|continuing automatically at'
_RESET: Final = rf'(?:.*?(?:{_WHEN}) (?P<reset>[^.\n]+))?'

BACKENDS: Final = {
    'demo': Backend('demo', 'sleep', ('infinity',)),
    'claude': Backend(
        'claude',
        'claude',
        ('--dangerously-skip-permissions',),
        model_flag='--model',
        prompt_delivery='arg',
        start_id=('--session-id', '{id}'),
        resume=('--resume', '{id}'),
        activity_mask=_SPINNERS,
        limit_patterns=(
            r'(?i)usage limit reached\|(?P<reset>\d+)',
            r'(?i)\b(?:usage|session|weekly|5-hour|opus) limit reached' + _RESET,
            r"(?i)you['’]ve hit your (?:[\w'’-]+ ){0,4}limit" + _RESET,
        ),
    ),
    'codex': Backend(
        'codex',
        'codex',
        # It shows the id of its conversation nowhere, unless told to: then as the line below the input.
        ('--dangerously-bypass-approvals-and-sandbox', '-c', 'tui.status_line=["session-id"]'),
        model_flag='--model',
        prompt_delivery='arg',
        id_pattern=r'(?m)^ {2}([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\s*$',
        resume=('resume', '{id}'),
        activity_mask=_SPINNERS,
        limit_patterns=(r"(?i)you['’]ve (?:hit|reached) your usage limit" + _RESET,),
    ),
    'opencode': Backend(
        'opencode',
        'opencode',
        (),
        model_flag='--model',
        prompt_delivery='ping',
        ready=r'(?i)ask anything|ctrl\+p|enter\s+send',
        id_pattern=r'\b(ses_[0-9A-Za-z]{20,})',
        resume=('--session', '{id}'),
        activity_mask=(*_SPINNERS, r'^\s*[┃╹█▀▄⬝■]'),
        limit_patterns=(
            r'(?i)(?:rate|usage) limit (?:has been )?(?:reached|exceeded)' + _RESET,
            r'(?i)\bfree usage exceeded',
        ),
    ),
}
