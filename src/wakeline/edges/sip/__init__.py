"""The SIP edge: a registrar and stateful proxy that wakes phones (DESIGN 5.9). What SIP is made of is in `wire.sip`.

flows                where messages come from and go to
datagrams, connections, open_connections, inbox, endpoint
                     the sockets: UDP, TCP, TLS, WebSocket; what came waits its turn by source
sources              how much one address may ask of us
timekeeper           one timer wheel for all that waits
matching, outlet     what messages are known by, and the way out
server_transactions, client_transactions, transaction_layer
                     requests that came and that we sent, until they are over
door                 who sent a request, and who serves it
authentication, passwords, peers
                     whom we believe
pbx                  REGISTER and calls of phones whose users a PBX has
registrar, wishes, binding_plan, push_support, apps, phones
                     REGISTER: what is asked for, what becomes of it, which app wakes the phone
refreshing           phones are asked to register again in time
proxy, targets, checking, dialog_routes, relaying
                     where a request goes
forking, asking, branch, bucket, conclusion, ring_limit
                     one request to all phones of an address, those that sleep too
reaching, pushing, push_sent
                     how a fork asks its phones, wakes those that sleep, and tells the caller so
waking, occasions, life, presence, ways, alerting
                     pushes; who is awake, and connected; how a phone is reached
messages, courier    what is kept for phones, and brought to them
call_records, decisions
                     calls for somebody's journal; one line of the log for each decision
"""
