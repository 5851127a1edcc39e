"""SIP without sockets and clocks: bytes in, values out; values in, bytes out (RFC 3261 and what belongs to it).

message   a request or response: lazy, in order, and what nobody touched leaves as it came, byte for byte
fields    what both share: header fields and a body
names     names of header fields, their compact forms and spellings
headers   values of header fields: Via, name-addr (From, To, Contact, Route), CSeq
uri       SIP URIs: parts, address-of-record, comparison
pieces    lists, parameters and quoted strings, of which all of those consist
framing   where messages begin and end on a stream, and keep-alives between them
websocket, stun   the same on a WebSocket, and keep-alives between datagrams
faults    what must be right in a message before anybody acts on it
feature_caps, push_params, gruu   pushes: what a phone asks for, what it is told, what others see of it
digest    authentication
timers, transactions   a request and its responses on one hop
responses, hop_by_hop   what we say ourselves
broken    what is wrong with what a peer sent, and how that is answered

Text is `str` decoded from UTF-8 with surrogateescape, so that bytes that are no UTF-8 survive: `encode()` of `pieces` goes back.
"""
