"""Dramatiq on Redis or RabbitMQ, its default middleware, publisher confirms on."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers import work

broker: dramatiq.Broker
if work.URL.startswith("redis"):
    broker = RedisBroker(url=work.URL)
else:
    broker = RabbitmqBroker(url=work.URL, confirm_delivery=True)
dramatiq.set_broker(broker)
ACTORS = {each.__name__: dramatiq.actor(each, queue_name=work.NAME) for each in (work.noop, work.wait, work.stamp)}


def send(task: str, argument: object) -> None:
    """One job."""
    ACTORS[task].send(argument)


def fill(task: str, argument: object, number: int) -> None:
    """One by one, for it has no other way, but without waiting for confirmations: only the drain is measured."""
    if isinstance(broker, RabbitmqBroker):
        broker.confirm_delivery = False
    for _ in range(number):
        send(task, argument)
    broker.close()  # sends what is left in its buffers
