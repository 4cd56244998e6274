-- Each line of the audit log carries a keyed hash over itself and the value of the line before it. Lines from before the
-- chain have none: it begins at the first line that has one.
ALTER TABLE audit_entry ADD COLUMN chain {bytes};
-- The id of the master key that the value was made with.
ALTER TABLE audit_entry ADD COLUMN chain_key {i64};
