"""What the farm's handlers wrote down: which runs of which jobs began and ended, where and when."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import attrs


@attrs.frozen
class Run:
    """One attempt at one job. Times are `time.monotonic()`, which all processes share.

    :ivar ended: None for a run that did not come to its end.
    """

    job: str
    site: str
    queue: str
    attempt: int
    pid: int
    started: float
    ended: float | None = None


class Journal:
    """Reads the file that :mod:`farm_handlers` appends to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def runs(self, queue: str | None = None) -> list[Run]:
        """Every run so far, in the order of their starts; of one queue only if it is named."""
        runs: list[Run] = []
        # A requeued job begins with attempt 1 again, perhaps in the same process: the last one ends.
        last: dict[tuple[str, ...], int] = {}
        for line in self._lines():
            kind, job, site, its_queue, attempt, pid, at = line.split()
            key = (job, attempt, pid)
            if kind == "start":
                last[key] = len(runs)
                runs.append(Run(job, site, its_queue, int(attempt), int(pid), float(at)))
            else:
                runs[last[key]] = attrs.evolve(runs[last[key]], ended=float(at))
        return [run for run in runs if queue in (None, run.queue)]

    def _lines(self) -> list[str]:
        # A reader may see the beginning of a line that is just being written.
        text = self.path.read_text() if self.path.exists() else ""
        return text[: text.rfind("\n") + 1].splitlines()

    def handled(self, queue: str | None = None) -> set[str]:
        """The ids of the jobs that came to their end."""
        return {run.job for run in self.runs(queue) if run.ended is not None}

    def by_job(self) -> dict[str, list[Run]]:
        """The runs of each job."""
        found: dict[str, list[Run]] = defaultdict(list)
        for run in self.runs():
            found[run.job].append(run)
        return found
