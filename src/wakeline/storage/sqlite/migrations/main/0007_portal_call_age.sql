-- External calls are forgotten by their age.
CREATE INDEX portal_call_age ON portal_call (begun);
