-- What worked before a credential was replaced is kept until its successor is proven (facts and secret; NULL: nothing).
ALTER TABLE credential ADD COLUMN former BLOB;
ALTER TABLE credential ADD COLUMN former_sealed BLOB;
