-- What is proven by the token of a push alone may come from another phone that was sent it: it ends no retry.
ALTER TABLE early_receipt ADD COLUMN certain INTEGER NOT NULL DEFAULT 1;
