"""The door of connected portals: we are an application there, and they post to us.

    POST /bitrix24/events/{name}   an event, an installation, or a launch in a frame of the portal
    GET  /bitrix24/oauth/{name}    an administrator comes back from the portal with a code

door        path, method, size -> who is asked for -> one of the ways below
proof       does the portal of this installation say so?
events      an event -> the inbox, on disk -> the connector's bell -> the answer
installing  tokens that came from outside -> asked about at the OAuth server -> kept
arriving    a code that came with a state of ours -> tokens -> kept
state       what says that we sent the administrator there
pages       what people see

Rule: the name in an address proves nothing. Bitrix24 posts an event once and waits for nobody, so that an event is answered as
soon as it is on disk, and everything else happens behind that.
Source: Bitrix24 REST, "Event handling", "Security in handlers", "Application installation".
"""

from wakeline.edges.bitrix24.connected.door import ConnectedDoor
from wakeline.edges.bitrix24.connected.ports import ConnectedPorts

__all__ = ["ConnectedDoor", "ConnectedPorts"]
