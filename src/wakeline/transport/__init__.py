"""The only sockets of the gateway: HTTP/2 connections, TLS, datagrams, streams, HTTP/1.1 and the outbound guard."""

from __future__ import annotations
