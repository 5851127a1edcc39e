"""What Flexisip says and understands, as values.

payloads      what liblinphone's apps read in a push
placeholders  what Flexisip fills into an external push URI
settings      a flexisip.conf line by line; rules says what becomes of each line here, transports reads that one

Source: the interface of Flexisip 2.0 to 2.7: names, values and behaviour, none of its code.
"""
