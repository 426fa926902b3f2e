"""snqctl: the operator's command line. Each command lives in a module of its own, imported only when it is called."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import click

from snqd.core.errors import BadName, ConfigError, NoHandler, SnqdError, UnknownSite
from snqd.pipe.text_streams import write_utf8
from snqd.snqctl.invocation import Invocation, WrongUse, complain

COMMANDS = {
    "enqueue": "snqd.snqctl.enqueue",
    "run": "snqd.snqctl.run",
    "status": "snqd.snqctl.status",
    "update": "snqd.snqctl.update",
    "restart": "snqd.snqctl.update",
    "top": "snqd.snqctl.top",
    "log-level": "snqd.snqctl.log_level",
    "stop": "snqd.snqctl.steer",
    "pause": "snqd.snqctl.steer",
    "resume": "snqd.snqctl.steer",
    "dead": "snqd.snqctl.dead",
    "check": "snqd.snqctl.check",
    "sites": "snqd.snqctl.sites",
}
_WRONG = (ConfigError, BadName, UnknownSite, NoHandler, WrongUse)

DONE, FAILED, WRONG = 0, 1, 2


class Snqctl(click.Group):
    """The group of all commands; turns what they raise into a line on stderr and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands, in the order in which an operator learns them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, from its module."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name]), cmd_name.replace("-", "_"))
        return command

    def main(self, *args: Any, **extra: Any) -> Any:
        """Run a command and exit: 0 done, 1 failed, 2 wrong use or configuration."""
        write_utf8(sys.stdout, sys.stderr)
        sys.exit(self._code(*args, **{"prog_name": "snqctl", **extra, "standalone_mode": False}))

    def _code(self, *args: Any, **extra: Any) -> int:
        try:
            code = super().main(*args, **extra)
        except click.UsageError as error:
            place = error.ctx.command_path if error.ctx is not None else "snqctl"
            complain(f"{error.format_message()} (see {place} --help)")
            return WRONG
        except click.Abort:
            complain("interrupted")
            return FAILED
        except SnqdError as error:
            for line in str(error).splitlines():
                complain(line)
            return WRONG if isinstance(error, _WRONG) else FAILED
        return code if isinstance(code, int) else DONE


@click.group("snqctl", cls=Snqctl, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-c", "--config", type=click.Path(path_type=Path), metavar="FILE", help="The configuration: etc/snq.ini.")
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """Send jobs to snqd, and watch and steer it.

    Exit codes: 0 done, 1 failed, 2 wrong use or wrong configuration.
    """
    context.obj = Invocation(config)


if __name__ == "__main__":
    main()
