"""Makes ``twistd snqd`` known."""

from twisted.application.service import ServiceMaker

snqd = ServiceMaker("snqd", "snqd.tap", "The background work of many sites in one daemon.", "snqd")
