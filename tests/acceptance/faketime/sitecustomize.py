"""Loaded by every Python process under libfaketime: it refuses `time.sleep`, an absolute sleep by the monotonic clock,
with EINVAL (0.9.10), and passes select on."""

import select
import time

time.sleep = lambda seconds: select.select([], [], [], seconds)  # type: ignore[assignment]
