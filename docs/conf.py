"""Sphinx's configuration."""

from configparser import ConfigParser
from pathlib import Path

_setup = ConfigParser(interpolation=None)
_setup.read(Path(__file__).resolve().parents[1] / "setup.cfg")

project = "snqd"
author = copyright = "the snqd authors"
version = release = _setup["metadata"]["version"]
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {"description": _setup["metadata"]["description"]}
nitpicky = True
