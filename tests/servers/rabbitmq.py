"""RabbitMQ from Debian's package, with nothing but loopback ports: this machine's, and Debian 13's."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import psutil

from tests.servers.broker import Broker, free_port, lacks
from tests.servers.debian13 import in13, root_lacks

_SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_CONTROL = "/usr/lib/rabbitmq/bin/rabbitmqctl"


class RabbitMq(Broker):
    """A RabbitMQ node of its own, with an Erlang port mapper of its own.

    :ivar plugins: those that are enabled.
    :ivar more: further lines of rabbitmq.conf, which a test may add to before it starts the node.
    """

    name = "RabbitMQ"
    username = "guest"
    password = "guest"
    plugins: tuple[str, ...] = ("rabbitmq_stomp",)
    more: tuple[str, ...] = ()

    @classmethod
    def missing(cls) -> str:
        return lacks(_SERVER)

    def prepare(self) -> None:
        self._amqp, self._dist, self._epmd = free_port(), free_port(), free_port()
        (self.folder / "enabled_plugins").write_text(f"[{','.join(self.plugins)}].\n")
        lines = (
            f"listeners.tcp.1 = 127.0.0.1:{self._amqp}",
            f"stomp.listeners.tcp.1 = 127.0.0.1:{self.port}",
            "disk_free_limit.absolute = 1MB",
            "vm_memory_high_watermark.absolute = 1GB",
            *self.more,
        )
        (self.folder / "rabbitmq.conf").write_text("".join(f"{line}\n" for line in lines))

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
        argv, env = self.command()
        done = subprocess.run(
            [*argv[:-1], _CONTROL, "-q", *arguments], env=env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def kill(self) -> None:
        """SIGKILL; the port mapper that the node has started is killed too, it would stay for ever."""
        super().kill()
        for process in psutil.process_iter(["name"]):
            if process.info["name"] == "epmd" and _environment(process).get("HOME") == str(self.folder):
                process.kill()


class RabbitMq4(RabbitMq):
    """Debian 13's RabbitMQ, with the management plug-in: see debian13-root.sh.

    :ivar management: the URL of its management API.
    """

    name = "RabbitMQ 4"
    plugins = ("rabbitmq_stomp", "rabbitmq_management")

    @classmethod
    def missing(cls) -> str:
        return root_lacks(_SERVER)

    def prepare(self) -> None:
        self._http = free_port()
        self.more = (*self.more, "management.tcp.ip = 127.0.0.1", f"management.tcp.port = {self._http}")
        super().prepare()

    @property
    def management(self) -> str:
        return f"http://127.0.0.1:{self._http}"

    def command(self) -> tuple[list[str], dict[str, str]]:
        argv, env = super().command()
        return in13(argv, self.folder, env)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What the management API answers, None if nothing."""
        request = urllib.request.Request(
            f"{self.management}/api/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Basic {b64encode(f'{self.username}:{self.password}'.encode()).decode()}",
                "Content-Type": "application/json",
            },
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def make_vhost(self, name: str, queue_type: str = "classic") -> None:
        """A fresh virtual host, whose queues are of that type where nothing else is said."""
        self.ask("PUT", f"vhosts/{quote(name, '')}", {"default_queue_type": queue_type})
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self.ask("PUT", f"permissions/{quote(name, '')}/{self.username}", everything)

    def set_policy(self, vhost: str, name: str, pattern: str, definition: Mapping[str, Any], priority: int = 0) -> None:
        """As ``rabbitmqctl set_policy --apply-to queues``."""
        policy = {"pattern": pattern, "definition": definition, "apply-to": "queues", "priority": priority}
        self.ask("PUT", f"policies/{quote(vhost, '')}/{name}", policy)


class StrictRabbitMq4(RabbitMq4):
    """The same, where queues that end with a connection must be exclusive, as they must be in later versions."""

    name = "RabbitMQ 4, strict"
    more = ("deprecated_features.permit.transient_nonexcl_queues = false",)


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}
