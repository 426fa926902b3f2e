"""IScriptRunner: what the store in Redis lends to code that keeps something beside its jobs there."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from zope.interface import Interface

from snqd.stores.redis.scripts import Script


class IScriptRunner(Interface):
    """Provided by a store in Redis; over its own connection."""

    def ask(script: Script, *words: Any) -> Coroutine[Any, Any, Any]:
        """Run a script that may be repeated without harm; returns its answer.

        :raises StoreError: where Redis does not take part.
        """
