"""Where connections to Redis go."""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.testing import MemoryReactorClock

from snqd.config.redis_address import RedisAddress
from snqd.core.errors import StoreError
from snqd.stores.redis.endpoints import endpoint_of

BROKEN = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [(None, "can't be read"), ("nothing", "there is no certificate in"), (BROKEN, "can't be read")],
    ids=["missing", "empty", "broken"],
)
def test_certificates_that_can_not_be_used_are_told_with_their_file(
    tmp_path: Path, text: str | None, told: str
) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(StoreError, match=told) as raised:
        endpoint_of(MemoryReactorClock(), RedisAddress((("h", 1),), tls=True, ca=str(path)))
    assert str(path) in str(raised.value)
