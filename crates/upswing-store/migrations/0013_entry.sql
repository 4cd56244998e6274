-- An entry of the ledger stands in the row of the feedback that caused it, from now on: one row and two indexes less for each
-- piece of feedback. Rows of the ledger's own have the entries with a position of their own: what had to wait for its execution,
-- stands otherwise than it did, or was folded again under another definition; and all that were written before.
ALTER TABLE feedback ADD COLUMN first_position {i64};
ALTER TABLE feedback ADD COLUMN decision {uuid};
ALTER TABLE feedback ADD COLUMN version {bytes};
ALTER TABLE feedback ADD COLUMN definition_version {i64};
ALTER TABLE feedback ADD COLUMN old_reward {i64};
ALTER TABLE feedback ADD COLUMN new_reward {i64};
ALTER TABLE feedback ADD COLUMN context_source {i64};
ALTER TABLE feedback ADD COLUMN propensity {f64};
ALTER TABLE feedback ADD COLUMN origin {text};
-- When the execution happened that it is about.
ALTER TABLE feedback ADD COLUMN executed_at {i64};
