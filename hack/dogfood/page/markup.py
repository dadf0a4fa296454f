"""The page's markup: Jinja2 templates with autoescape, a style sheet and a script, all from `templates/`."""

import base64
import functools
import hashlib
from pathlib import Path
from typing import Any, Final

from jinja2 import BytecodeCache, Environment, FileSystemBytecodeCache, FileSystemLoader
from jinja2.bccache import Bucket
from markupsafe import Markup

from hack.dogfood.page import layout, looks

_FOLDER: Final = Path(__file__).with_name('templates')
_SIGNS: Final = {
    'failed': '✕',
    'infra': '?',
    'unknown': '?',
    'blocked': '⊘',
    'deferred': '‖',
    'skipped': '–',
    'passed': '✓',
}
_SIDES: Final = {'-': 'expected', '+': 'observed', ' ': 'same', '…': 'cut'}  # of a difference


def made_of(template: str, **values: Any) -> Markup:
    """What a template makes of the values."""
    return Markup(_templates().get_template(template).render(values))


def style_and_script() -> dict[str, str]:
    """Style sheet and script, and how a Content-Security-Policy names them."""
    made: dict[str, str] = {}
    for name, file in (('style', 'page.css'), ('script', 'page.js')):
        text = (_FOLDER / file).read_text()
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        made |= {name: Markup(text), f'{name}_digest': f'sha256-{digest}'}
    return made


class _Compiled(FileSystemBytecodeCache):
    """Templates as set-up compiled them: read where they still fit their source, never written while a page is made."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        pass


def compile_templates() -> None:
    """Keep the templates compiled, as Python keeps its modules: a tenth of a second less for each page."""
    kept = _FOLDER / '__pycache__'
    kept.mkdir(exist_ok=True)
    templates = _environment(FileSystemBytecodeCache(str(kept)))
    for name in templates.list_templates(['j2']):
        templates.get_template(name)


@functools.cache
def _templates() -> Environment:
    return _environment(_Compiled(str(_FOLDER / '__pycache__')))


def _environment(cache: BytecodeCache) -> Environment:
    templates = Environment(
        loader=FileSystemLoader(_FOLDER),
        bytecode_cache=cache,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters.update(duration=looks.duration, percent=looks.percent, short=looks.short)
    templates.globals.update(worst_first=looks.WORST_FIRST, signs=_SIGNS, sides=_SIDES, page_width=layout.PAGE_WIDTH)
    return templates
