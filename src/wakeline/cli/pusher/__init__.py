"""`wakeline push` and the program `flexisip_pusher`: one push to a phone by its push parameters, and what its push service said.

    command (the flags) -> phones (whom) -> plans (what each gets) -> ways (with which credential: files, store, gateway) -> report

Rule: flags, last lines and exit codes are those of Flexisip's tool, for scripts call it. It runs beside a gateway or without one.
"""
