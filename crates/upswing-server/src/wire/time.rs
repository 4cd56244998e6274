//! RFC 3339 in UTC on the wire, microseconds inside.

use serde::Serializer;
use upswing_domain::{Invalid, Timestamp};

/// A moment as text.
pub(crate) fn to_text(moment: Timestamp) -> String {
    match jiff::Timestamp::from_microsecond(moment.0) {
        Ok(time) => time.to_string(),
        // Outside of the years -9999 to 9999; nothing that was let in is.
        Err(_) => moment.0.to_string(),
    }
}

/// Reads a moment.
///
/// # Errors
/// When the text is not RFC 3339 with an offset.
pub(crate) fn parse(field: &str, text: &str) -> Result<Timestamp, Invalid> {
    text.parse::<jiff::Timestamp>()
        .map(|time| Timestamp(time.as_microsecond()))
        .map_err(|_| Invalid::new(field, text, "a time as in RFC 3339, like 2026-01-28T12:00:00Z"))
}

/// Serialises a moment (`#[serde(serialize_with)]`).
pub(crate) fn serialize<S: Serializer>(moment: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_text(*moment))
}

/// Serialises a moment that may be absent.
pub(crate) fn serialize_option<S: Serializer>(
    moment: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match moment {
        Some(moment) => serialize(moment, serializer),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_back_what_it_prints() {
        let moment = Timestamp(1_769_601_600_123_456);
        assert_eq!(parse("t", &to_text(moment)).unwrap(), moment);
        assert_eq!(parse("t", "2026-01-28T13:00:00+01:00").unwrap(), Timestamp(1_769_601_600_000_000));
        assert!(parse("t", "yesterday").is_err());
    }
}
