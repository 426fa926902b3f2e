"""Limits: whether RabbitMQ drops jobs of this farm without a trace; for ``snqctl check``, pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator

from snqd.stores.stomp.dialects import RabbitMq
from snqd.stores.stomp.management import QUORUM, Rules, VirtualHost
from snqd.stores.stomp.topology import LANES, RUNGS, Topology

_STRATEGY = "dead-letter-strategy"
_CURE = "by a policy set delivery-limit to -1, or a dead-letter-exchange, as docs/stomp.rst says"


def destinations(topology: Topology, groups: Collection[str]) -> Iterator[str]:
    """From where children of `groups` are sent jobs, and so what a limit may drop."""
    for group in groups:
        yield topology.of_group(group)
        yield from (name for name, _ in topology.breakouts_of(group))
        yield topology.due(group)
        yield topology.solo(group)
        yield from topology.lanes(group)
    yield topology.dropped()


def unknown(topology: Topology, groups: Collection[str]) -> str:
    """What is said where nobody can be asked."""
    names = ", ".join(_shortened(destinations(topology, groups)))
    return (
        f"not known whether a delivery-limit drops jobs of {names}: set stomp_management, or see that a policy covers "
        "them, as docs/stomp.rst says"
    )


def complaints(host: VirtualHost, topology: Topology, groups: Collection[str]) -> Iterator[str]:
    """What is wrong, and with which destinations."""
    said: dict[str, list[str]] = defaultdict(list)
    for name in destinations(topology, groups):
        rules = host.rules(_queue(name))
        if problem := _drops(rules, is_last=name == topology.dropped()):
            said[problem].append(name)
    for group in groups:
        for name in (topology.delay(group, rung) for rung in RUNGS):
            if problem := _hides(host.rules(_queue(name))):
                said[problem].append(name)
    for problem, names in said.items():
        for name in _shortened(names):
            yield f"{name}: {problem}"


def _drops(rules: Rules, is_last: bool) -> str:
    """Why jobs may vanish, empty if they don't.

    :param is_last: whether nothing else takes what it drops: dead-lettered to itself, that would be gone.
    """
    if rules.limit is None or (rules.is_dead_lettered and not is_last):
        return ""
    policy = f"policy {rules.policy}" if rules.policy else "no policy"
    return f"a {rules.type} queue that drops a job without a trace after {rules.limit} returns ({policy}): {_CURE}"


def _hides(rules: Rules) -> str:
    """Whether the policy of a delay queue does not hold, since another one matches that queue too."""
    if rules.type != QUORUM or _STRATEGY in rules.definition or not any(_STRATEGY in each for each in rules.hidden):
        return ""
    return (
        f"policy {rules.policy} hides the one with {_STRATEGY}, since only one holds for a queue: give that a higher "
        "priority"
    )


def _queue(destination: str) -> str:
    """The name of a destination's queue."""
    return RabbitMq().destination(destination).removeprefix("/queue/").replace("%2F", "/")


def _shortened(names: Iterable[str]) -> Iterator[str]:
    """The names, of all lanes of a group only the first with how many there are."""
    for name in names:
        head, is_lane, number = name.rpartition(".lane-")
        if not is_lane:
            yield name
        elif number == "0":
            yield f"{head}.lane-0 ... -{LANES - 1}"
