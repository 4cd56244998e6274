-- Rows that are written a second time soon after the first: PostgreSQL keeps room beside them, so that the new version stands on
-- the same page and no index has to be told. SQLite writes in place.
{postgres} ALTER TABLE experiment_unit SET (fillfactor = 60);
