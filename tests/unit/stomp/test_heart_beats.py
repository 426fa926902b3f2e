"""Heart-beats: what two sides agree on."""

from __future__ import annotations

import pytest

from snqd.stomp.errors import ProtocolError
from snqd.stomp.heart_beats import HeartBeats, agree, header


def test_we_offer_and_ask_for_the_same() -> None:
    assert header(10.0) == "10000,10000"


@pytest.mark.parametrize(
    ("interval", "theirs", "agreed"),
    [
        (10.0, "0,0", HeartBeats(0.0, 0.0)),
        (10.0, None, HeartBeats(0.0, 0.0)),
        (0.0, "5000,5000", HeartBeats(0.0, 0.0)),
        (10.0, "5000,20000", HeartBeats(send=20.0, receive=10.0)),
        (10.0, "30000,0", HeartBeats(send=0.0, receive=30.0)),
        (10.0, " 30000,1 ", HeartBeats(send=10.0, receive=30.0)),
    ],
)
def test_the_slower_side_decides(interval: float, theirs: str | None, agreed: HeartBeats) -> None:
    assert agree(interval, theirs) == agreed


@pytest.mark.parametrize("theirs", ["", "1", "a,b", "1,2,3", "-1,0", "99999999999,0"])
def test_what_is_no_pair_of_milliseconds_is_refused(theirs: str) -> None:
    with pytest.raises(ProtocolError, match="no heart-beat header"):
        agree(10.0, theirs)
