//! In which of the two encodings a body is.

/// An encoding of OTLP over HTTP. The answer is in the request's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `application/x-protobuf`
    Protobuf,
    /// `application/json`
    Json,
}

impl Format {
    /// The format that a `Content-Type` names; parameters such as a charset are ignored.
    pub fn of_content_type(value: &str) -> Option<Self> {
        let essence = value.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        if is("application/x-protobuf") || is("application/protobuf") {
            Some(Self::Protobuf)
        } else if is("application/json") {
            Some(Self::Json)
        } else {
            None
        }
    }

    /// The `Content-Type` of an answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_may_have_parameters_and_any_case() {
        let cases = [
            ("application/json", Some(Format::Json)),
            ("Application/JSON; charset=utf-8", Some(Format::Json)),
            ("application/x-protobuf", Some(Format::Protobuf)),
            ("application/x-protobuf;charset=UTF-8", Some(Format::Protobuf)),
            ("text/json", None),
            ("", None),
        ];
        for (value, format) in cases {
            assert_eq!(Format::of_content_type(value), format, "{value}");
        }
    }
}
