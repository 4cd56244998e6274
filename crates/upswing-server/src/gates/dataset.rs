//! Frozen datasets: what is asked of a version, and what is expected of its answers.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use upswing_domain::canonical_json;
use upswing_learn::gate::Scorer;
use upswing_privacy::redact::Redactor;
use utoipa::ToSchema;

use crate::problem::{Code, Problem};
use crate::wire::json;

/// How many cases a dataset may have: each is asked of the version and of its parent in one run.
const MOST_CASES: usize = 1_000;

/// A case: one line of a dataset.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DatasetCase)]
pub(crate) struct Case {
    /// What the version is asked.
    #[schema(value_type = Object)]
    pub(crate) input: Value,
    /// What is expected: an answer, a number, or, for the scorer `schema`, the answer's shape.
    #[schema(value_type = Object)]
    pub(crate) expected: Value,
    /// How the answer is judged, as in `{"name": "fuzzy", "least": 0.9}`; as the agent's gates say unless given. One of
    /// `exact`, `fuzzy`, `schema`, `numeric` (`absolute`, `relative`) and `command` (`command`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub(crate) scorer: Option<Scorer>,
}

/// A dataset as it is stored.
pub(crate) struct Frozen {
    pub(crate) id: [u8; 32],
    pub(crate) cases: usize,
    pub(crate) body: String,
}

/// Reads lines, takes out of them what identifies people or is secret, and names what is left by its content.
///
/// # Errors
/// With the line, from 1, that is not a case.
pub(crate) fn freeze(bytes: &[u8]) -> Result<Frozen, Problem> {
    let lines = bytes.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let (mut body, mut cases) = (String::new(), 0);
    for line in lines {
        cases += 1;
        if cases > MOST_CASES {
            let detail = format!("a dataset may have at most {MOST_CASES} cases");
            return Err(Problem::new(Code::BodyTooLarge, detail));
        }
        let at = |mut problem: Problem| {
            problem.detail = format!("line {cases}: {}", problem.detail);
            problem
        };
        let mut value: Value = json::parse(line).map_err(at)?;
        Redactor::new().json(&mut value);
        let text = canonical_json(&value);
        let case: Case = json::parse(text.as_bytes()).map_err(at)?;
        if let Some(scorer) = &case.scorer {
            scorer.check(&case.expected).map_err(|invalid| at(invalid.into()))?;
        }
        body.push_str(&text);
        body.push('\n');
    }
    if cases == 0 {
        return Err(Problem::new(
            Code::InvalidBody,
            "a dataset has at least one case, one JSON object a line",
        ));
    }
    Ok(Frozen { id: *blake3::hash(body.as_bytes()).as_bytes(), cases, body })
}

/// The cases of a stored dataset.
///
/// # Errors
/// When what is stored is no dataset.
pub(crate) fn cases(body: &str) -> Result<Vec<Case>, Problem> {
    let parsed = body.lines().map(serde_json::from_str).collect::<Result<_, _>>();
    parsed.map_err(|error| Problem::internal(&format!("a stored dataset: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_of_the_content_and_bad_lines_are_named() {
        let one = freeze(br#"{"input": {"b": 1, "a": 2}, "expected": "x"}"#).unwrap();
        let same = freeze(b"\n{\"expected\":\"x\",\"input\":{\"a\":2,\"b\":1}}\r\n\n").unwrap();
        assert_eq!((one.id, one.cases), (same.id, 1));
        assert_eq!(cases(&one.body).unwrap().len(), 1);
        let secret = freeze(br#"{"input": "mail ada.lovelace@example.com", "expected": "x"}"#).unwrap();
        assert!(!secret.body.contains("lovelace"), "{}", secret.body);
        let bad = |text: &str| freeze(text.as_bytes()).map(|f| f.cases).unwrap_err();
        let good = r#"{"input": 1, "expected": 2}"#;
        assert_eq!(bad("").code, Code::InvalidBody);
        assert!(bad(&format!("{good}\n{{\"input\": 1}}")).detail.starts_with("line 2: "));
        assert_eq!(bad(&format!("{good}\n{{\"input\":")).code, Code::MalformedJson);
        let scorer = r#"{"input": 1, "expected": "x", "scorer": {"name": "numeric"}}"#;
        assert_eq!(bad(scorer).code, Code::ValueOutOfRange);
        assert_eq!(bad(&format!("{good}\n").repeat(MOST_CASES + 1)).code, Code::BodyTooLarge);
    }
}
