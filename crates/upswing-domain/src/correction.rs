//! Corrections by field: what a program took from somewhere, and what is right.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What was wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionKind {
    /// It held something else.
    Incorrect,
    /// It held nothing.
    Missing,
    /// It was not wrong, and is better now.
    Improvement,
}

/// One field that was corrected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldDifference {
    /// Its path: names joined by dots.
    pub field: String,
    /// What stood there; `null` where nothing did.
    pub original: Value,
    /// What is right; `null` where nothing should stand there.
    pub corrected: Value,
    /// What was wrong with it.
    pub kind: CorrectionKind,
}

/// The fields in which two objects differ, in the order of their paths.
///
/// An original that is absent or `null` makes a field [`CorrectionKind::Missing`], any other
/// [`CorrectionKind::Incorrect`]; `said` stands instead where somebody said what it was. A field that only the original has
/// was not corrected and is left out, unless the correction names it with `null`. Linear in the size of both.
pub fn differences(
    original: &Map<String, Value>,
    corrected: &Map<String, Value>,
    said: Option<CorrectionKind>,
) -> Vec<FieldDifference> {
    let mut found = Vec::new();
    compare("", original, corrected, said, &mut found);
    found.sort_by(|a, b| a.field.cmp(&b.field));
    found
}

fn compare(
    path: &str,
    original: &Map<String, Value>,
    corrected: &Map<String, Value>,
    said: Option<CorrectionKind>,
    found: &mut Vec<FieldDifference>,
) {
    for (name, right) in corrected {
        let field = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let before = original.get(name).unwrap_or(&Value::Null);
        match (before, right) {
            (Value::Object(before), Value::Object(right)) => compare(&field, before, right, said, found),
            (before, right) if before == right => {}
            (before, right) => {
                let told = if before.is_null() { CorrectionKind::Missing } else { CorrectionKind::Incorrect };
                found.push(FieldDifference {
                    field,
                    original: before.clone(),
                    corrected: right.clone(),
                    kind: said.unwrap_or(told),
                });
            }
        }
    }
}

/// Where something was taken from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The host, without `www.`.
    pub domain: String,
    /// Host and path with what varies from page to page as `*`.
    pub url_pattern: String,
    /// Whose pages these are.
    pub platform: String,
}

/// Hosts, by how they end, whose name is not what people call the platform.
const PLATFORMS: &[(&str, &str)] = &[
    ("myworkdayjobs.com", "workday"),
    ("myworkdaysite.com", "workday"),
    ("workday.com", "workday"),
    ("greenhouse.io", "greenhouse"),
    ("lever.co", "lever"),
    ("ashbyhq.com", "ashby"),
    ("icims.com", "icims"),
    ("taleo.net", "taleo"),
    ("successfactors.com", "successfactors"),
    ("successfactors.eu", "successfactors"),
    ("bamboohr.com", "bamboohr"),
    ("smartrecruiters.com", "smartrecruiters"),
    ("jobvite.com", "jobvite"),
    ("workable.com", "workable"),
];

/// Second labels under which a country sells names, as in `example.co.uk`.
const SHARED: &[&str] = &["co", "com", "org", "net", "gov", "edu", "ac", "or", "ne", "go"];

/// Where a URL leads: `None` unless it is `http` or `https` with a host.
///
/// The platform of a host that is not in the short table of recruiting systems is the name before its public suffix
/// (`uk.indeed.com` and `indeed.co.uk` are both `indeed`). In the pattern, parts of the path that hold a digit or are longer
/// than 40 characters become `*`; the query is left out.
pub fn origin_of(url: &str) -> Option<Origin> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next()?;
    let host = host.split(':').next()?.trim_end_matches('.').to_ascii_lowercase();
    let plain = |c: char| c.is_alphanumeric() || c == '-' || c == '.';
    if host.is_empty() || !host.contains('.') || !host.chars().all(plain) {
        return None;
    }
    let domain = host.strip_prefix("www.").unwrap_or(&host).to_owned();
    let known =
        PLATFORMS.iter().find(|(suffix, _)| domain == *suffix || domain.ends_with(&format!(".{suffix}")));
    let platform = match known {
        Some((_, name)) => (*name).to_owned(),
        None => registered_name(&domain).to_owned(),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let varies = |part: &str| part.chars().any(|c| c.is_ascii_digit()) || part.chars().count() > 40;
    let parts = path.split('/').filter(|part| !part.is_empty());
    let parts = parts.map(|part| if varies(part) { "*" } else { part });
    let url_pattern = std::iter::once(domain.as_str()).chain(parts).collect::<Vec<_>>().join("/");
    Some(Origin { domain, url_pattern, platform })
}

fn registered_name(domain: &str) -> &str {
    let labels: Vec<&str> = domain.split('.').collect();
    match labels.as_slice() {
        [.., name, second, last] if last.len() == 2 && SHARED.contains(second) => name,
        [.., name, _] => name,
        _ => domain,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differ(original: Value, corrected: Value) -> Vec<(String, CorrectionKind)> {
        let (Value::Object(a), Value::Object(b)) = (original, corrected) else { unreachable!() };
        differences(&a, &b, None).into_iter().map(|d| (d.field, d.kind)).collect()
    }

    #[test]
    fn only_what_differs_is_a_difference_and_nothing_is_missing() {
        use CorrectionKind::{Incorrect, Missing};
        let original =
            json!({"title": "Dev", "company": null, "location": "Oslo", "pay": {"from": 1, "to": 2}});
        let corrected =
            json!({"title": "Developer", "company": "Acme", "location": "Oslo", "pay": {"from": 1, "to": 3}});
        let expected = [("company", Missing), ("pay.to", Incorrect), ("title", Incorrect)];
        assert_eq!(differ(original, corrected), expected.map(|(f, k)| (f.to_owned(), k)));
        assert_eq!(differ(json!({"a": 1}), json!({})), []);
        assert_eq!(differ(json!({"a": 1}), json!({"a": null})), [("a".to_owned(), Incorrect)]);
        assert_eq!(differ(json!({}), json!({"a": null})), []);
    }

    #[test]
    fn what_somebody_said_it_was_stands() {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let (a, b) = (object(json!({"a": 1})), object(json!({"a": 2})));
        let found = differences(&a, &b, Some(CorrectionKind::Improvement));
        assert_eq!(found[0].kind, CorrectionKind::Improvement);
    }

    #[test]
    fn a_platform_is_found_from_the_url() {
        let of = |url: &str| origin_of(url).map(|o| (o.platform, o.domain, o.url_pattern));
        let expected = |p: &str, d: &str, u: &str| Some((p.to_owned(), d.to_owned(), u.to_owned()));
        assert_eq!(
            of("https://www.linkedin.com/jobs/view/4012345678?trk=x"),
            expected("linkedin", "linkedin.com", "linkedin.com/jobs/view/*")
        );
        assert_eq!(
            of("https://boards.greenhouse.io/acme/jobs/123#app"),
            expected("greenhouse", "boards.greenhouse.io", "boards.greenhouse.io/acme/jobs/*")
        );
        let workday = of("https://acme.wd5.myworkdayjobs.com/en-US/careers/job/Oslo/Dev_R-1");
        assert_eq!(workday.unwrap().0, "workday");
        assert_eq!(of("https://uk.indeed.com/viewjob?jk=1").unwrap().0, "indeed");
        assert_eq!(of("http://user:secret@indeed.co.uk:8080/").unwrap().0, "indeed");
        for nothing in [
            "",
            "ftp://a.b/c",
            "https://",
            "https:///x",
            "javascript:alert(1)",
            "https://a b.com/",
            "https://localhost/",
        ] {
            assert_eq!(of(nothing), None, "{nothing}");
        }
    }
}
