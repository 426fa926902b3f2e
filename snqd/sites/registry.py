"""SiteRegistry: the sites of a process by nickname, built when their first job comes."""

from __future__ import annotations

from collections.abc import Collection

from snqd.config.problems import quoted
from snqd.config.settings import Settings, SiteSettings
from snqd.core.errors import UnknownSite
from snqd.sites.site import Site


class SiteRegistry:
    """Every site that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._built: dict[str, Site] = {}
        self._resting: dict[str, Site] = {}

    def get(self, nickname: str) -> Site:
        """The site of that nickname, the same object until :meth:`replace`.

        :raises UnknownSite: saying where to define it.
        """
        site = self._built.get(nickname)
        if site is None:
            site = self._built[nickname] = self._resting.get(nickname) or self._build(nickname)
        return site

    def _build(self, nickname: str) -> Site:
        return Site(self._record(nickname), self._settings)

    def forget_idle(self) -> None:
        """Drop what was built of sites that nobody asked for since the last call; jobs that run keep theirs."""
        self._resting, self._built = self._built, {}

    def __contains__(self, nickname: object) -> bool:
        return nickname in self._settings.sites

    def nicknames(self) -> Collection[str]:
        """Every site's nickname, in the order of the configuration."""
        return self._settings.sites.keys()

    def records(self) -> Collection[SiteSettings]:
        """What every site says itself; builds none."""
        return self._settings.sites.values()

    def replace(self, settings: Settings) -> None:
        """Go over to `settings` at once; sites that were handed out before keep the old ones."""
        self._settings = settings
        self._built = {}
        self._resting = {}

    def _record(self, nickname: str) -> SiteSettings:
        try:
            return self._settings.sites[nickname]
        except KeyError:
            raise UnknownSite(
                f"site {quoted(nickname)} is not configured: "
                f"define it in a [site:NAME] section of {self._settings.path} or of a file in its [sites] dir"
            ) from None
