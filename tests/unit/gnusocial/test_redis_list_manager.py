"""GNU social's lists: which jobs their items become, and what becomes of items that are none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed

from snqd.config.load import load_file
from snqd.core.errors import SnqdError, StoreUnavailable
from snqd.core.job import PHP, Job
from snqd.gnusocial import redis_list_manager
from snqd.gnusocial.redis_list_manager import GnuSocialLists, read_item
from snqd.sites.registry import SiteRegistry
from snqd.stores.morgue.morgue import Letter

SAMPLE = Path(__file__).parents[2] / "samples" / "gnusocial2-redis" / "list-item-notice.bin"
ITEM = b'a:2:{i:0;s:4:"ping";i:1;s:2:"hi";}'
BROKEN = b'a:2:{i:0;s:4:"ping";i:1;s:2:"hi'


class Lists:
    def __init__(self, **lists: list[bytes]) -> None:
        self.lists = {f"gnusocial:{name}": items for name, items in lists.items()}
        self.looked: list[list[str]] = []
        self.taken: list[tuple[str, list[Job | None]]] = []
        self.down = False

    async def look(self, names: Sequence[str]) -> dict[str, list[bytes]]:
        self.looked.append(list(names))
        return {name: self.lists[name] for name in names if self.lists.get(name)}

    async def take(self, name: str, items: Sequence[tuple[bytes, Job | None]]) -> int:
        if self.down:
            raise StoreUnavailable("down")
        self.taken.append((name, [job for _, job in items]))
        self.lists[name] = []
        return len(items)


class Morgue:
    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.counted: list[tuple[str, str]] = []
        self.full = False

    def count(self, queue: str, site: str) -> None:
        self.counted.append((queue, site))

    def bury(self, letter: Letter) -> Deferred[None]:
        if self.full:
            return fail(StoreUnavailable("full"))
        self.letters.append(letter)
        return succeed(None)


@pytest.fixture
def sites(tmp_path: Path) -> SiteRegistry:
    config = tmp_path / "snq.ini"
    config.write_text("[site:one]\nname = Peer\n[site:two]\n[site:three]\nname = Third\n")
    return SiteRegistry(load_file(config, plugins={}))


def swept(sites: SiteRegistry, lists: Lists, morgue: Morgue) -> Any:
    polled = GnuSocialLists(sites, lists, morgue, morgue.count).poll()  # type: ignore[arg-type]
    polled.addErrback(lambda failure: failure.value)
    return polled.result


def test_the_captured_item_is_a_job_of_its_queue() -> None:
    job = read_item("one", SAMPLE.read_bytes())
    assert (job.site, job.queue, job.encoding) == ("one", "distrib", PHP)
    assert job.body.startswith(b'O:6:"Notice":27:{')
    assert job.id == read_item("one", SAMPLE.read_bytes()).id


@pytest.mark.parametrize("item", [b"", b"PING", BROKEN, b'a:2:{i:0;s:3:"a b";i:1;N;}', b"\xff\0"])
def test_what_is_no_item_is_refused(item: bytes) -> None:
    with pytest.raises(SnqdError):
        read_item("one", item)


def test_items_become_jobs_of_the_site_whose_name_their_list_bears(sites: SiteRegistry) -> None:
    lists, morgue = Lists(Peer=[ITEM, ITEM], two=[ITEM]), Morgue()
    assert swept(sites, lists, morgue) is True
    assert [(name, [job.site for job in jobs if job]) for name, jobs in lists.taken] == [
        ("gnusocial:Peer", ["one", "one"]),
        ("gnusocial:two", ["two"]),
    ]
    assert morgue.letters == []
    assert swept(sites, lists, morgue) is False


def test_what_is_no_item_lies_in_the_morgue_with_its_bytes_and_leaves_the_list(sites: SiteRegistry) -> None:
    lists, morgue = Lists(Peer=[BROKEN, ITEM]), Morgue()
    assert swept(sites, lists, morgue) is True
    ((_, (dropped, job)),) = lists.taken
    assert (dropped, job is not None) == (None, True)
    (letter,) = morgue.letters
    assert (letter.site, letter.body, letter.encoding) == ("one", BROKEN, PHP)
    assert "broken" in letter.reason
    assert morgue.counted == [(letter.queue, "one")]


def test_nothing_leaves_the_list_while_the_morgue_takes_nothing(sites: SiteRegistry) -> None:
    lists, morgue = Lists(Peer=[BROKEN]), Morgue()
    morgue.full = True
    assert isinstance(swept(sites, lists, morgue), StoreUnavailable)
    assert lists.taken == []


def test_a_store_that_is_away_counts_as_nothing_found(sites: SiteRegistry) -> None:
    lists, morgue = Lists(Peer=[ITEM, BROKEN]), Morgue()
    lists.down = True
    assert swept(sites, lists, morgue) is False
    assert morgue.counted == []


def test_many_sites_are_looked_at_in_portions_and_none_after_the_end_was_called(
    sites: SiteRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_list_manager, "LISTS_AT_ONCE", 2)
    lists = Lists()
    swept(sites, lists, Morgue())
    assert lists.looked == [["gnusocial:Peer", "gnusocial:two"], ["gnusocial:Third"]]
    manager = GnuSocialLists(sites, lists, Morgue(), print)  # type: ignore[arg-type]
    manager.quiet()
    manager.poll()
    assert len(lists.looked) == 2
