"""Sphinx's configuration."""

import sys
from configparser import ConfigParser
from pathlib import Path

_root = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_root))
from snqd.pipe.version import VERSION  # noqa: E402 - the checkout, not what is installed

_setup = ConfigParser(interpolation=None)
_setup.read(_root / "setup.cfg")

project = "snqd"
author = copyright = "the snqd authors"
version = release = VERSION
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": _setup["metadata"]["description"]}
nitpicky = True
