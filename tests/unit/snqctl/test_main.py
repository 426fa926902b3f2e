from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from snqd.snqctl.invocation import printable
from snqd.snqctl.main import COMMANDS, main


def test_every_command_is_listed_with_its_help(operator: Any) -> None:
    shown = operator("--help").stdout
    assert [name for name in COMMANDS if f"\n  {name} " not in shown] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_needs_no_configuration(command: str) -> None:
    result = CliRunner().invoke(main, [command, "--help"])
    assert (result.exit_code, result.stderr) == (0, "")


def test_a_command_without_configuration_says_how_to_name_one() -> None:
    result = CliRunner().invoke(main, ["sites"])
    assert result.exit_code == 2
    assert result.stderr == "snqctl: no configuration is named: say snqctl --config etc/snq.ini COMMAND\n"


def test_wrong_use_is_one_line(operator: Any) -> None:
    result = operator("enqueue", "alpha")
    assert result.exit_code == 2
    assert result.stderr == "snqctl: Missing argument 'QUEUE'. (see snqctl enqueue --help)\n"


def test_an_unknown_command_is_wrong_use(operator: Any) -> None:
    result = operator("enqeue")
    assert result.exit_code == 2
    assert "No such command 'enqeue'" in result.stderr


def test_every_problem_of_the_configuration_has_a_line(operator: Any) -> None:
    operator.configure("[queue]\nconcurency = 5\ntimeout = soon\n")
    result = operator("sites")
    assert result.exit_code == 2
    first, second = result.stderr.splitlines()
    assert first.startswith(f"snqctl: {operator.config}:")
    assert "[queue] concurency" in first
    assert "[queue] timeout" in second


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--config", str(tmp_path / "none.ini"), "sites"])
    assert result.exit_code == 2
    assert result.stderr.startswith(f"snqctl: {tmp_path / 'none.ini'}")


def test_nothing_reaches_the_terminal_that_it_would_obey() -> None:
    assert printable("red \x1b[31m\a\nand\tplain é") == "red \\x1b[31m\\x07\nand\tplain é"
