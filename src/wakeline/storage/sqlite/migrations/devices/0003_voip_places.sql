-- Which environments and bundle ids the VoIP tokens of an app have is asked whenever somebody looks at its credentials: a few
-- steps in this index. Tokens of other kinds are not in it and pay nothing for it.
CREATE INDEX target_voip ON target (app, environment, topic) WHERE kind = 'apns-voip' AND state = 'active';
