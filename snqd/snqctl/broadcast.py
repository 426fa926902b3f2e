"""How ``snqctl update``, ``restart`` and ``stop`` reach every daemon on the store, and this host's in particular."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from snqd.config.control_key import read_control_key
from snqd.core.clocks import unix_time
from snqd.core.errors import DaemonNotRunning, StoreError
from snqd.ops.control import ControlFailed, call
from snqd.snqctl.invocation import Invocation, complain, say
from snqd.stores.factory import control_channel_of
from snqd.stores.subsystem import IControlChannel
from snqd.wire.control_message import ControlMessage, encode, new_message

DONE, FAILED = 0, 1


def broadcast(
    invocation: Invocation, command: str, here: Callable[[], None], site: str | None = None, local: bool = False
) -> int:
    """Do `here`, which asks this host's daemon, and tell all others on the store; returns the exit code.

    :param local: leave the others alone.
    :raises SnqdError: as `here` does, and DaemonNotRunning where nobody at all could be asked.
    """
    channel = control_channel_of(invocation.settings)
    if local or channel is None:
        here()
        return DONE
    if not invocation.settings.queue.control_trusted:
        complain(
            "other hosts are not told, since nothing says whom their daemons should believe: set [queue] "
            f"control_key_file in {invocation.settings.path}, on every host; with --local this is not said"
        )
        here()
        return DONE
    message = new_message(command, site, unix_time(), f"snqctl on {socket.gethostname()}")
    return _everywhere(invocation, channel, message, here)


def _everywhere(
    invocation: Invocation, channel: IControlChannel, message: ControlMessage, here: Callable[[], None]
) -> int:
    key_file = invocation.settings.queue.control_key_file
    body = encode(message, read_control_key(key_file) if key_file is not None else None)
    running = _announced(invocation, message)
    # Beside the daemon of this host, since neither is to wait for the other.
    with ThreadPoolExecutor(1) as thread:
        published = thread.submit(_publish, channel, body)
        try:
            if running:
                here()
        finally:
            told = _told(published, running)
    return DONE if told else FAILED


def _announced(invocation: Invocation, message: ControlMessage) -> bool:
    """Whether a daemon runs here; if so it will not do the same again when the message comes to it."""
    try:
        call(invocation.settings.daemon.control, "expect", id=message.id)
    except DaemonNotRunning:
        return False
    except ControlFailed as error:  # it may hear of it twice then; that the others do not hear of it would be worse
        complain(f"{error}; it is asked nevertheless")
    return True


def _publish(channel: IControlChannel, body: bytes) -> None:
    publisher = channel.control_publisher()
    try:
        publisher.publish(body)
    finally:
        publisher.close()


def _told(published: Future[None], running: bool) -> bool:
    """Whether all others were told, which is said, whatever becomes of this host's daemon."""
    try:
        published.result()
    except StoreError as error:
        complain(f"other daemons were not told: {error}")
        return False
    others = "the other daemons on the store were told"
    say(others if running else "the daemons on the store were told; none runs on this host")
    return True
