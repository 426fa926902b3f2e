"""ActiveMQ from Debian's package, with nothing but a STOMP port on loopback."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.servers.broker import Broker, lacks

_JAR = "/usr/share/activemq/bin/activemq.jar"
_SCRIPT = "/usr/bin/activemq"
_CONFIGURATION = """\
<beans xmlns="http://www.springframework.org/schema/beans" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"
  xsi:schemaLocation="http://www.springframework.org/schema/beans http://www.springframework.org/schema/beans/spring-beans.xsd
  http://activemq.apache.org/schema/core http://activemq.apache.org/schema/core/activemq-core.xsd">
  <broker xmlns="http://activemq.apache.org/schema/core" brokerName="snqd" dataDirectory="{folder}/data"
      useJmx="false" schedulerSupport="true">
    <plugins><simpleAuthenticationPlugin><users>
      <authenticationUser username="guest" password="guest" groups="all"/>
    </users></simpleAuthenticationPlugin></plugins>
    <destinationPolicy><policyMap><policyEntries>
      <policyEntry queue=">" maxPageSize="2000" memoryLimit="32 mb" producerFlowControl="false"/>
    </policyEntries></policyMap></destinationPolicy>
    <persistenceAdapter><kahaDB directory="{folder}/data/kahadb"/></persistenceAdapter>
    <systemUsage><systemUsage>
      <memoryUsage><memoryUsage limit="256 mb"/></memoryUsage>
      <storeUsage><storeUsage limit="2 gb"/></storeUsage>
      <tempUsage><tempUsage limit="1 gb"/></tempUsage>
    </systemUsage></systemUsage>
    <transportConnectors>
      <transportConnector name="stomp" uri="stomp://127.0.0.1:{port}?transport.defaultHeartBeat=0,0"/>
    </transportConnectors>
  </broker>
</beans>
"""


class ActiveMq(Broker):
    """An ActiveMQ broker with KahaDB and the scheduler. It lets nobody in but `guest`."""

    name = "ActiveMQ"
    username = "guest"
    password = "guest"

    @classmethod
    def missing(cls) -> str:
        return lacks("java", _JAR, _SCRIPT)

    def prepare(self) -> None:
        (self.folder / "conf").mkdir()
        (self.folder / "data").mkdir()
        (self.folder / "conf" / "activemq.xml").write_text(_CONFIGURATION.format(folder=self.folder, port=self.port))

    def command(self) -> tuple[list[str], dict[str, str]]:
        # Debian's script would take over the machine's own instance; but it knows what this Java must open.
        flags = re.findall(r"--add-(?:reads|opens|exports)[ =]\S+", Path(_SCRIPT).read_text())
        argv = ["java", "-Xmx512m", *(word for flag in flags for word in flag.split(" "))]
        where = {"home": "/usr/share/activemq", "base": self.folder, "conf": self.folder / "conf"}
        argv += [f"-Dactivemq.{name}={path}" for name, path in {**where, "data": self.folder / "data"}.items()]
        argv += ["-jar", _JAR, "start", f"xbean:file:{self.folder}/conf/activemq.xml"]
        return argv, {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
