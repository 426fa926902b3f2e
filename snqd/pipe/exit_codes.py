"""What the exit code of a child asks of its parent, as in StatusNet's queue daemon."""

DONE = 0
"""The child comes back after a while, if it is still needed."""
FAILED = 1
"""The same, after an error."""
SHUT_DOWN = 100
"""The whole daemon stops."""
RESTART = 101
"""A fresh child comes at once."""
CLEAN = (DONE, SHUT_DOWN, RESTART)
"""Those with which a child leaves in good order; any other one is a crash."""
