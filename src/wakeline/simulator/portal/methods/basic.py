"""Who one is, what the portal is, and its users."""

from __future__ import annotations

from wakeline.simulator.portal.call import Call, Found, Method
from wakeline.simulator.portal.php import Tree, text
from wakeline.simulator.portal.records import Kind, moment
from wakeline.simulator.portal.refusal import Refusal
from wakeline.simulator.portal.selection import Row, page, selected

# Parameters of user.get that are no fields to filter by.
_NO_FIELDS = ("filter", "order", "sort", "select", "start", "admin_mode", "image_resize")


def _me(call: Call) -> Row:
    found = call.memory.records[Kind.USER].get(call.caller.user)
    if found is None:
        raise Refusal(401, "authorization_error", "Unable to authorize user")
    return found


def profile(call: Call) -> Found:
    """The caller in short."""
    me = _me(call)
    shown = {name: me[name] for name in ("NAME", "LAST_NAME", "PERSONAL_GENDER", "TIME_ZONE")}
    return Found({"ID": me["ID"], "ADMIN": call.caller.user == 1, **shown})


def app_info(call: Call) -> Found:
    """The application as the portal sees it; a webhook has only scopes."""
    if not call.caller.client_id:
        return Found({"SCOPE": list(call.caller.scope), "LICENSE": "en_simulator"})
    application = call.memory.applications[call.caller.client_id]
    return Found(
        {
            "ID": "1",
            "CODE": application.client_id,
            "VERSION": 1,
            "STATUS": "L",
            "INSTALLED": application.installed,
            "PAYMENT_EXPIRED": "N" if call.memory.switches.paid else "Y",
            "DAYS": None,
            "LANGUAGE_ID": "en",
            "LICENSE": "en_simulator",
        }
    )


def users(call: Call) -> Found:
    """A list of users. Its `sort` and `order` are two texts, and fields may stand beside the filter."""
    loose: Tree = {name: value for name, value in call.params.items() if name not in _NO_FIELDS}
    order: Tree = {call.text("sort"): call.text("order") or "ASC"} if call.text("sort") else {}
    wanted: Tree = {"filter": {**loose, **call.tree("filter")}, "order": order, "start": call.params.get("start")}
    found = page(_with_flags(call), wanted)
    rows = [selected({**row, "ACTIVE": row["ACTIVE"] == "Y"}, call.params.get("select")) for row in found.rows]
    return Found(rows, found.total, found.next)


def _with_flags(call: Call) -> list[Row]:
    """ACTIVE is a real truth value in answers, and compared as Y or N."""
    return [{**row, "ACTIVE": text(row["ACTIVE"])} for row in call.memory.records[Kind.USER].values()]


METHODS = (
    Method("profile", profile),
    Method("app.info", app_info),
    Method("scope", lambda call: Found(list(call.caller.scope))),
    Method("server.time", lambda call: Found(moment(call.now))),
    Method("user.current", lambda call: Found(_me(call)), "user"),
    Method("user.get", users, "user"),
)
