"""The protocols, sans-I/O: bytes, values, `now` and entropy in; bytes and values out.

Rule of the folder: no socket, no clock, no file, no randomness. What a rule comes from (RFC section, vendor page) stands
beside it, and its golden exchange under tests/wire/golden.
"""
