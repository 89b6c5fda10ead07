"""docs/command_line.md names every command, each with its own options and no others."""

import re
from pathlib import Path

import pytest

from crossent.cli.run import commands

PAGE = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text(encoding="utf-8")
SECTIONS = dict(zip(*[iter(re.split(r"^## (.+)$", PAGE, flags=re.MULTILINE)[1:])] * 2, strict=True))
LARGE = ("fit", "predict", "score", "bench")
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*")


def section(command: str) -> str:
    """The text about a command."""
    return next(text for heading, text in SECTIONS.items() if command in heading.split(", "))


def options(command: str) -> set[str]:
    """The long options of a command, without those that every command has."""
    return {name for option in commands.commands[command].params for name in option.opts if name.startswith("--")}


@pytest.mark.parametrize("command", LARGE)
def test_a_section_names_the_options_of_its_command(command: str) -> None:
    assert set(OPTION.findall(section(command))) | {"--output"} == options(command)


def test_small_commands_share_a_section() -> None:
    small = set(commands.commands) - set(LARGE)
    assert set(OPTION.findall("".join({section(name) for name in small}))) == set().union(*map(options, small))
