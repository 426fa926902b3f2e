"""The goals that depend on the store, by store and measurement, as they are printed."""

from __future__ import annotations

GOALS = {
    ("sqlite", "noop"): "15,000",
    ("sqlite", "wait"): "11,000",
    ("sqlite", "enqueue"): "20,000",
    ("redis", "noop"): "13,000; 3 x Dramatiq",
    ("postgresql", "noop"): "8,000; 10 x Procrastinate",
    ("mariadb", "noop"): "7,240: 10 x the PHP original",
    ("rabbitmq", "noop"): "15,000; 2 x Dramatiq; 0.6 x bare",
    ("rabbitmq", "wait"): "2 x Dramatiq",
    ("rabbitmq", "quiet"): "under 5,000 while it sifts",
    ("activemq", "quiet"): "under 5,000 while it sifts",
    ("activemq", "noop"): "0.8 x bare",
}
