"""Scratch projects: an agents.toml, and the files it names."""

from collections.abc import Mapping
from pathlib import Path

DEFAULTS = """[defaults]
session_prefix = "t-"
log_dir = ".ao"
backend = "demo"
model = "none"
"""
PAIR = (
    DEFAULTS
    + """
[[agent]]
name = "builder"
kind = "loop"
role = "builder"
watch = "heal+stall"
[[agent]]
name = "adversary"
kind = "loop"
role = "adversary"
model = "haiku"
[[agent]]
name = "wrap-up"
kind = "task"
[loop]
kickoff_template = "kickoff.md"
handoff = ["claim(", "review("]
on_complete = "wrap-up"
[[loop.phases]]
id = "one"
plan = "plan-one.md"
status = "STATUS-one.md"
models = {builder = "opus"}
[[loop.phases]]
id = "two"
plan = "plan-two.md"
status = "STATUS-two.md"
"""
)
TEMPLATE = 'You are the {role} of {phase_id}: read plans/{plan}, write docs/{status}. Not a slot: {x} {}.\n'
PAIR_FILES = {'kickoff.md': TEMPLATE, 'plans/plan-one.md': '', 'plans/plan-two.md': ''}


def project(folder: Path, config: str = PAIR, files: Mapping[str, str] = PAIR_FILES) -> Path:
    """Write the project; returns the path of its configuration."""
    for name, text in {**files, 'agents.toml': config}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / 'agents.toml'
