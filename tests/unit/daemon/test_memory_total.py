"""How much memory a daemon may have."""

from __future__ import annotations

from pathlib import Path

from snqd.daemon.memory_total import total_bytes

MACHINE = 8 * 1024**3
V1_WITHOUT_A_LIMIT = "9223372036854771712\n"


class System:
    """Files as a kernel shows them."""

    def __init__(self, folder: Path, membership: str) -> None:
        self.root = folder / "cgroup"
        self.membership = folder / "membership"
        self.membership.write_text(membership)

    def limit(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def total(self) -> int:
        return total_bytes(MACHINE, self.membership, self.root)


def test_without_control_groups_it_is_the_machines(tmp_path: Path) -> None:
    assert total_bytes(MACHINE, tmp_path / "nothing", tmp_path) == MACHINE


def test_version_2_counts_every_limit_on_the_way_up(tmp_path: Path) -> None:
    system = System(tmp_path, "0::/system.slice/snqd.service\n")
    system.limit("system.slice/snqd.service/memory.max", "max\n")
    system.limit("system.slice/snqd.service/memory.high", "3000000000\n")
    system.limit("system.slice/memory.max", "2000000000\n")
    assert system.total() == 2_000_000_000


def test_version_1_is_read_too(tmp_path: Path) -> None:
    system = System(tmp_path, "5:cpu,cpuacct:/a\n4:memory:/docker/abc\n1:name=systemd:/a\n")
    system.limit("memory/docker/abc/memory.limit_in_bytes", "500000000\n")
    system.limit("memory/memory.limit_in_bytes", V1_WITHOUT_A_LIMIT)
    assert system.total() == 500_000_000


def test_no_limit_is_no_limit(tmp_path: Path) -> None:
    system = System(tmp_path, "4:memory:/a\n0::/a\n")
    system.limit("memory/a/memory.limit_in_bytes", V1_WITHOUT_A_LIMIT)
    system.limit("a/memory.max", "max\n")
    assert system.total() == MACHINE


def test_in_a_container_only_the_root_may_be_there(tmp_path: Path) -> None:
    system = System(tmp_path, "4:memory:/docker/of/the/host\n")
    system.limit("memory/memory.limit_in_bytes", "700000000\n")
    assert system.total() == 700_000_000


def test_on_a_hybrid_system_version_2_is_beside_version_1(tmp_path: Path) -> None:
    system = System(tmp_path, "0::/a\n")
    system.limit("unified/a/memory.max", "600000000\n")
    assert system.total() == 600_000_000
