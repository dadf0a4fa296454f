"""Looks at regular expressions that others wrote."""

import re
import warnings


def fault(pattern: str | bytes) -> str | None:
    """What is wrong with it, as `is no … (what to do)`; None where it can be used."""
    try:
        with warnings.catch_warnings(action='error'):
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        why = error.msg if isinstance(error, re.error) else str(error)
        hint = 'write (?i:…) around it' if 'flags' in why else 'put a backslash before what is meant literally'
        return f'is no regular expression: {why} ({hint})'
    return None
