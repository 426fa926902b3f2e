"""A daemon whose children are those of tiny_child.py: ``twistd -n -y tiny.tac``, with the configuration in TINY_INI."""

import os
from pathlib import Path

from twisted.application.service import Application
from twisted.internet import reactor

from snqd.config.load import Overrides
from snqd.tap import make_service

application = Application("tiny")
make_service(reactor, Path(os.environ["TINY_INI"]), Overrides(), "tiny_child").setServiceParent(application)
