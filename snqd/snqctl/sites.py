"""``snqctl sites``: the sites, and where each is defined."""

from __future__ import annotations

from typing import Any

import click

from snqd.snqctl.invocation import Invocation, say_json
from snqd.stores.interface import Pauses


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.pass_obj
def sites(invocation: Invocation, as_json: bool) -> None:
    """List the sites, whether they are paused, and the file that defines each."""
    rows = site_rows(invocation, _pauses(invocation))
    if as_json:
        say_json(rows)
        return
    from snqd.snqctl.tables import console, table

    columns = {
        "site": "left",
        "server": "left",
        "name": "left",
        "weight": "right",
        "paused": "left",
        "defined in": "fold",
    }
    shown = ("site", "server", "name", "weight", "paused", "source")
    console().print(table(columns, ([row[name] for name in shown] for row in rows)))


def site_rows(invocation: Invocation, pauses: Pauses) -> list[dict[str, Any]]:
    """The document of ``sites --json``."""
    return [
        {
            "site": record.nickname,
            "server": record.server,
            "name": record.name,
            "weight": record.weight,
            "source": record.source,
            "paused": record.nickname in pauses.sites,
        }
        for record in invocation.sites.records()
    ]


def _pauses(invocation: Invocation) -> Pauses:
    with invocation.store() as store:
        return store.pauses() if store.exists() else Pauses()
