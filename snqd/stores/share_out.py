"""Sharing out the room of one claim among the sites that have jobs; each store that goes site by site uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

FEW_SITES = 8
"""A claim looks at so many sites at least, however little room it has, so that it can even out what is held."""


def share_out(room: int, offers: Sequence[tuple[str, list[int]]], held: Mapping[str, int]) -> dict[str, list[int]]:
    """Which of the keys that each site offers to take, `room` at most.

    Always the next one of the site that would then hold the least, of equals the earlier one.

    :param offers: sites in their turn, each with its keys in their order.
    :param held: how many jobs each site has in the claimer's hands already.
    """
    levels = {site: held.get(site, 0) for site, _ in offers}
    left = {site: keys for site, keys in offers if keys}
    taken: dict[str, list[int]] = {}
    while room > 0 and left:
        if len(left) == 1:
            for site, keys in left.items():
                begun = len(taken.setdefault(site, []))
                taken[site] += keys[begun : begun + room]
            break
        level = min(levels[site] for site in left)
        for site in [site for site in left if levels[site] == level][:room]:
            mine = taken.setdefault(site, [])
            mine.append(left[site][len(mine)])
            levels[site] += 1
            room -= 1
            if len(mine) == len(left[site]):
                del left[site]
    return taken
