"""RabbitMQ from Debian's package, with nothing but loopback ports."""

from __future__ import annotations

import os
import subprocess

import psutil

from tests.servers.broker import Broker, free_port, lacks

_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_CONTROL = "/usr/lib/rabbitmq/bin/rabbitmqctl"


class RabbitMq(Broker):
    """A RabbitMQ node of its own, with an Erlang port mapper of its own."""

    name = "RabbitMQ"
    username = "guest"
    password = "guest"

    @classmethod
    def missing(cls) -> str:
        return lacks(_SERVER)

    def prepare(self) -> None:
        self._amqp, self._dist, self._epmd = free_port(), free_port(), free_port()
        (self.folder / "enabled_plugins").write_text("[rabbitmq_stomp].\n")
        (self.folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self._amqp}\n"
            f"stomp.listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            "disk_free_limit.absolute = 1MB\n"
            "vm_memory_high_watermark.absolute = 1GB\n"
        )

    def command(self) -> tuple[list[str], dict[str, str]]:
        folder = str(self.folder)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "LANG": "C.UTF-8",
            "RABBITMQ_NODENAME": f"snqd{self.port}@localhost",
            "RABBITMQ_MNESIA_BASE": f"{folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{folder}/log",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_DIST_PORT": str(self._dist),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} +S 1:1",
        }
        return [_SERVER], env

    def ctl(self, *arguments: str) -> str:
        """What ``rabbitmqctl ARGUMENTS`` prints about this node."""
        _, env = self.command()
        done = subprocess.run(
            [_CONTROL, "-q", *arguments], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def kill(self) -> None:
        """SIGKILL; the port mapper that the node has started is killed too, it would stay for ever."""
        super().kill()
        for process in psutil.process_iter(["name"]):
            if process.info["name"] == "epmd" and _environment(process).get("HOME") == str(self.folder):
                process.kill()


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}
