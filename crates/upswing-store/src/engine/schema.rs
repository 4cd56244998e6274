//! Migrations: one text for both engines, with type tokens.

/// All migrations, oldest first: a name, and the text with tokens.
const MIGRATIONS: &[(&str, &str)] = &[
    ("0001_foundation", include_str!("../../migrations/0001_foundation.sql")),
    ("0002_collect", include_str!("../../migrations/0002_collect.sql")),
    ("0003_telemetry", include_str!("../../migrations/0003_telemetry.sql")),
    ("0004_reputation", include_str!("../../migrations/0004_reputation.sql")),
    ("0005_experiments", include_str!("../../migrations/0005_experiments.sql")),
    ("0006_audit_chain", include_str!("../../migrations/0006_audit_chain.sql")),
    ("0006b_gates", include_str!("../../migrations/0006b_gates.sql")),
    ("0007_rollouts", include_str!("../../migrations/0007_rollouts.sql")),
    ("0008_enrichment", include_str!("../../migrations/0008_enrichment.sql")),
    ("0009_shadow", include_str!("../../migrations/0009_shadow.sql")),
    ("0010_collect", include_str!("../../migrations/0010_collect.sql")),
    ("0011_room", include_str!("../../migrations/0011_room.sql")),
    ("0012_reward", include_str!("../../migrations/0012_reward.sql")),
    ("0013_entry", include_str!("../../migrations/0013_entry.sql")),
];

/// Which engine a text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Sqlite,
    Postgres,
}

/// The migrations in one dialect.
pub(super) fn migrations(dialect: Dialect) -> impl Iterator<Item = (&'static str, String)> {
    MIGRATIONS.iter().map(move |(name, text)| (*name, translate(text, dialect)))
}

fn translate(text: &str, dialect: Dialect) -> String {
    let tokens = match dialect {
        Dialect::Sqlite => [
            ("{uuid}", "BLOB"),
            ("{i64}", "INTEGER"),
            ("{f64}", "REAL"),
            ("{bool}", "INTEGER"),
            ("{bytes}", "BLOB"),
            ("{text}", "TEXT"),
            ("{rowid}", " STRICT"),
            ("{clustered}", " STRICT, WITHOUT ROWID"),
        ],
        Dialect::Postgres => [
            ("{uuid}", "UUID"),
            ("{i64}", "BIGINT"),
            ("{f64}", "DOUBLE PRECISION"),
            ("{bool}", "BOOLEAN"),
            ("{bytes}", "BYTEA"),
            // Byte order, so that both engines sort and page alike.
            ("{text}", "TEXT COLLATE \"C\""),
            ("{rowid}", ""),
            ("{clustered}", ""),
        ],
    };
    // A line for one engine alone: how it lays out a table.
    let lines = text.lines().filter_map(|line| match (line.strip_prefix("{postgres} "), dialect) {
        (Some(_), Dialect::Sqlite) => None,
        (Some(line), Dialect::Postgres) => Some(line),
        (None, _) => Some(line),
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    tokens.iter().fold(text, |text, (token, sql)| text.replace(token, sql))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_is_left_in_either_dialect() {
        for dialect in [Dialect::Sqlite, Dialect::Postgres] {
            for (name, text) in migrations(dialect) {
                let code: String = text.lines().filter(|line| !line.trim_start().starts_with("--")).collect();
                assert!(!code.contains('{'), "{name} in {dialect:?}");
            }
        }
    }
}
