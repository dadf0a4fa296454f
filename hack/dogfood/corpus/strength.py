"""What a pass of a journey proves: what a product that does nothing would satisfy too counts for nothing."""

import re
from collections.abc import Mapping

from hack.dogfood.corpus import masks
from hack.dogfood.model import FileCheck, Journey, Step, TextCheck


def is_checked(journey: Journey) -> bool:
    """Whether a pass says more of the product than exit statuses do.

    What a product that does nothing at all would satisfy counts for nothing: an output that does not hold something, a
    file that is as the journey itself wrote it, or one that is not there and that nothing can have made.
    """
    fixture = dict(journey.files)
    for step in journey.steps:
        fixture |= step.files
        if output_tells(step) or any(_file_tells(check, step, fixture, journey) for check in step.expect.files):
            return True
    return False


def output_tells(step: Step) -> bool:
    """Whether the step expects some output that is not there anyhow: no text at all, or what the step says itself."""
    out, err = step.expect.stdout, step.expect.stderr
    return (out is not None and _says_something(out, masks.own_words(step.run))) or (
        err is not None and _says_something(err, '')
    )


def _says_something(text: TextCheck, own: str) -> bool:
    if text.json or (text.matches is not None and not re.search(text.matches, '')):
        return True
    return any(part not in own for part in (*text.contains, *filter(None, [text.equals])))


def _file_tells(check: FileCheck, step: Step, fixture: Mapping[str, str], journey: Journey) -> bool:
    if check.exists is False:
        return check.path in fixture or step.expect.exit == 'nonzero' or bool(journey.requires)
    return check.path not in fixture or _changed(check.text, fixture[check.path])


def _changed(text: TextCheck, before: str) -> bool:
    """Whether the check would not hold of the file as the journey wrote it."""
    if text.matches is not None or text.json or (text.equals is not None and text.equals != before):
        return True
    return any(part not in before for part in text.contains) or any(part in before for part in text.not_contains)
