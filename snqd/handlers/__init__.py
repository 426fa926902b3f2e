"""Handlers: the code for each queue, and what runs it. Authors of handlers need these three names alone."""

from snqd.handlers.queue_handler import QueueHandler, Reject, RetryLater

__all__ = ["QueueHandler", "Reject", "RetryLater"]
