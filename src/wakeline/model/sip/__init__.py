"""The nouns of the SIP edge: who is registered from where, how their phone is woken, and what waits for it.

push     push parameters of a Contact (RFC 8599, and liblinphone's older ones)
binding  an address-of-record at a Contact
waiting  chat messages kept for a sleeping phone
user     who may register, by digest

An address-of-record (AoR) is written `sip:user@domain`, user as it came, domain in lower case, no port and no parameters.
"""
