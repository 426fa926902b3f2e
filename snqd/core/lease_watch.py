"""Who has vanished: decided by looking at the others' beats, not at clocks, which jump and stop with the machine."""

from __future__ import annotations

from collections.abc import Iterable


class LeaseWatch:
    """Finds those who gave no sign of life through a whole lease of looks.

    Looks are counted, not seconds: a watcher that was itself stopped for an hour has looked once since.

    :param looks: how many looks in a row a beat must stay the same.
    """

    def __init__(self, looks: int) -> None:
        self._looks = looks
        self._seen: dict[str, tuple[int, int]] = {}

    def look(self, beats: Iterable[tuple[str, int]]) -> list[str]:
        """Take in each one's beat; returns who is to be given up.

        Whoever is given up is forgotten: under the same name it may come back, with a beat that was seen before.
        """
        seen: dict[str, tuple[int, int]] = {}
        for name, beat in beats:
            last, same = self._seen.get(name, (beat, 0))
            seen[name] = (beat, same + 1 if beat == last else 1)
        vanished = [name for name, (_, same) in seen.items() if same > self._looks]
        self._seen = {name: each for name, each in seen.items() if name not in vanished}
        return vanished
