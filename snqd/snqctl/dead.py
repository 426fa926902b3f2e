"""``snqctl dead``: what lies in the morgue, and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import click

from snqd.snqctl.invocation import Invocation, WrongUse, complain, say, say_json
from snqd.stores.morgue.morgue import Letter, Morgue

LISTED = 50

_queue = click.option("--queue", metavar="QUEUE", help="Only letters of this queue.")
_site = click.option("--site", metavar="SITE", help="Only letters of this site.")
_json = click.option("--json", "as_json", is_flag=True, help="One JSON document.")
_all = click.option("--all", "everything", is_flag=True, help="All letters, or all of --queue and --site.")


def _once(context: click.Context, parameter: click.Parameter, ids: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids))


_ids = click.argument("ids", nargs=-1, metavar="[ID...]", callback=_once)


@click.group()
def dead() -> None:
    """List, show, requeue and discard dead letters."""


@dead.command("list")
@_queue
@_site
@_json
@click.pass_obj
def list_letters(invocation: Invocation, queue: str | None, site: str | None, as_json: bool) -> None:
    """List dead letters, the oldest first; a table shows the first few, --json all of them."""
    with invocation.morgue() as morgue:
        letters = morgue.list(queue, site) if morgue.exists() else iter(())
        if as_json:
            from snqd.snqctl.letters import json_array

            for piece in json_array(letters):
                click.echo(piece, nl=False)
            return
        shown = list(islice(letters, LISTED))
        _print_table(shown, (morgue.count(queue, site) if shown else 0) - len(shown))


@dead.command("show")
@click.argument("ids", nargs=-1, required=True, metavar="ID...", callback=_once)
@_json
@click.pass_obj
def show_letters(invocation: Invocation, ids: tuple[str, ...], as_json: bool) -> int:
    """Show dead letters with payload, reason and traceback."""
    from snqd.snqctl.letters import as_document, show

    with invocation.morgue() as morgue:
        found = [letter for each in ids if (letter := _known(morgue, each)) is not None]
    if as_json:
        say_json([as_document(letter) for letter in found])
    else:
        from snqd.snqctl.tables import console

        for letter in found:
            show(letter, console())
    return 0 if len(found) == len(ids) else 1


@dead.command("requeue")
@_ids
@_all
@_queue
@_site
@click.pass_obj
def requeue_letters(
    invocation: Invocation, ids: tuple[str, ...], everything: bool, queue: str | None, site: str | None
) -> int:
    """Put dead letters back on their queues, at attempt 1."""
    _check_choice(ids, everything, queue, site)
    if not invocation.settings.queue.enabled:
        raise WrongUse(f"there is no queue to go back to: {invocation.settings.path} says [queue] enabled = no")
    with invocation.store() as store, invocation.morgue() as morgue:
        known = [each for each in ids if _known(morgue, each) is not None]
        if not morgue.exists():
            done = 0
        elif everything:
            done = morgue.requeue_all(store.enqueue, queue, site)
        else:
            done = morgue.requeue(known, store.enqueue)
    say(f"requeued {_letters(done)}")
    return 0 if everything or done == len(ids) else 1


@dead.command("discard")
@_ids
@_all
@_queue
@_site
@click.pass_obj
def discard_letters(
    invocation: Invocation, ids: tuple[str, ...], everything: bool, queue: str | None, site: str | None
) -> int:
    """Forget dead letters for good."""
    _check_choice(ids, everything, queue, site)
    with invocation.morgue() as morgue:
        known = [each for each in ids if _known(morgue, each) is not None]
        if not morgue.exists():
            done = 0
        elif everything:
            done = morgue.remove_all(queue, site)
        else:
            done = morgue.remove(known)
    say(f"discarded {_letters(done)}")
    return 0 if everything or done == len(ids) else 1


def _check_choice(ids: tuple[str, ...], everything: bool, queue: str | None, site: str | None) -> None:
    if everything == bool(ids):
        raise WrongUse("say which: the letters' IDs (snqctl dead list shows them), or --all")
    if ids and (queue or site):
        raise WrongUse("--queue and --site narrow --all; an ID needs neither")


def _known(morgue: Morgue, letter_id: str) -> Letter | None:
    letter = morgue.get(letter_id) if morgue.exists() else None
    if letter is None:
        complain(f"no dead letter {letter_id!r}: snqctl dead list shows them")
    return letter


_BESIDE_ID = 50
"""Columns that the rest of a letter's row needs to be read."""


def _print_table(letters: Sequence[Letter], more: int) -> None:
    from snqd.snqctl.tables import console, moment, table

    columns = {"id": "whole", "site": "left", "queue": "left", "tries": "right", "died": "left", "reason": "fold"}
    rows = [
        (each.id, each.site, each.queue, each.attempts, moment(each.died)[:16], each.reason.partition("\n")[0])
        for each in letters
    ]
    out = console()
    # The id of what PHP sent is a digest, which would leave the other columns a letter or two of an 80 column terminal.
    out.width = max(out.width, max((len(each.id) for each in letters), default=0) + _BESIDE_ID)
    out.print(table(columns, rows) if rows else "no dead letters")
    if more > 0:
        out.print(f"{more:,} more: narrow down with --queue and --site, or see all with --json")


def _letters(number: int) -> str:
    return f"{number} letter{'' if number == 1 else 's'}"
