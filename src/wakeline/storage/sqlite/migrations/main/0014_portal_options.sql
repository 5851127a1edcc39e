-- What applications of our Bitrix24 portal keep on it: a JSON map each. User 0: for the application as a whole.
CREATE TABLE portal_options (
    application INTEGER NOT NULL,
    user INTEGER NOT NULL,
    options BLOB NOT NULL,
    PRIMARY KEY (application, user)
) STRICT, WITHOUT ROWID;
