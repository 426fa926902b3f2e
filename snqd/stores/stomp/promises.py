"""What a store on STOMP brokers cannot promise, and why."""

from __future__ import annotations

from snqd.stores.interface import Promise, Promises

PROMISES = Promises(
    {
        Promise.FAIR_CLAIMS: "brokers are fair among sites only within what they have sent, and by lanes in a flood",
        Promise.COMPLETE_CLAIMS: "a broker pushes jobs, and some may still be on their way",
        Promise.NEXT_DUE: "a broker does not tell when a job that it delays is due",
        Promise.DEPTHS: "a broker tells no depths over STOMP",
        Promise.WAKES_ALL: "a broker sends a job, and so the wake-up, to one of the processes that listen",
        Promise.KEEPS_PLACE: "a job that is given back may come behind jobs that another process holds already",
        Promise.KNOWS_HOLDERS: "a broker does not tell which process holds a job, so the crash ledger is believed",
        Promise.ORDER_ACROSS_PROCESSES: "order is kept by the one process of an exclusive group",
        Promise.ONE_SUSPECT: "each daemon has one process that takes suspects; a broker does not know of the others",
    }
)
