"""The version of the code that runs; the code on disk may be another by now, so parent and child compare it."""

VERSION = "0.1.0"
