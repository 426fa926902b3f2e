"""Celery on RabbitMQ: late acknowledgement, publisher confirms on, results ignored, its default prefetch."""

from __future__ import annotations

from celery import Celery

from benchmarks.peers import work

app = Celery("benchmark", broker=work.URL)
app.conf.update(
    task_default_queue=work.NAME,
    task_ignore_result=True,
    task_acks_late=True,
    broker_transport_options={"confirm_publish": True},
    worker_enable_remote_control=False,
)
TASKS = {each.__name__: app.task(each, name=each.__name__) for each in (work.noop, work.wait, work.stamp)}


def send(task: str, argument: object) -> None:
    """One job."""
    TASKS[task].delay(argument)


def fill(task: str, argument: object, number: int) -> None:
    """One by one, for it has no other way, but without waiting for confirmations: only the drain is measured."""
    app.conf.broker_transport_options = {}
    for _ in range(number):
        send(task, argument)
