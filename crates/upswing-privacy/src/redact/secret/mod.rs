//! Passwords, keys and tokens: by the prefix their issuer gave them, by the name they are assigned to, by the place in
//! which they stand (`Authorization`, the user part of a URL), by their armour (PEM).

mod assignment;
mod header;
pub(super) mod name;
mod pem;
mod prefix;
mod url;
pub(super) mod value;

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

/// What wakes which detector.
#[derive(Debug, Clone, Copy)]
enum Wakes {
    Prefix(usize),
    Assignment,
    Header,
    Pem,
    Url,
    Jwt,
    Curl,
}

/// The compiled search for all of them.
#[derive(Debug)]
pub(super) struct Secrets {
    search: AhoCorasick,
    wakes: Vec<Wakes>,
}

static SHARED: LazyLock<Secrets> = LazyLock::new(Secrets::compile);

impl Secrets {
    /// The one of this process.
    pub(super) fn shared() -> &'static Self {
        &SHARED
    }

    #[expect(clippy::expect_used, reason = "the patterns are constants, and every test compiles them")]
    fn compile() -> Self {
        let mut patterns: Vec<(&str, Wakes)> = Vec::new();
        patterns
            .extend(prefix::PREFIXES.iter().enumerate().map(|(i, prefix)| (prefix.text, Wakes::Prefix(i))));
        patterns.extend(name::STEMS.iter().map(|stem| (*stem, Wakes::Assignment)));
        patterns.extend([
            ("bearer", Wakes::Header),
            ("basic ", Wakes::Header),
            ("authorization", Wakes::Assignment),
        ]);
        patterns.extend([("-----begin", Wakes::Pem), ("---- begin", Wakes::Pem), ("://", Wakes::Url)]);
        patterns.extend([("eyj", Wakes::Jwt), (" -u ", Wakes::Curl), ("--user ", Wakes::Curl)]);
        let search = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::LeftmostLongest)
            .kind(Some(aho_corasick::AhoCorasickKind::DFA))
            .build(patterns.iter().map(|(text, _)| text))
            .expect("a few hundred short patterns compile");
        Self { search, wakes: patterns.into_iter().map(|(_, wakes)| wakes).collect() }
    }

    /// Finds them.
    pub(super) fn find(&self, text: &str, found: &mut Vec<Range<usize>>) {
        let mut pem = pem::Search::default();
        let mut after_header = 0;
        for hit in self.search.find_iter(text) {
            let (start, end) = (hit.start(), hit.end());
            match self.wakes.get(hit.pattern().as_usize()) {
                Some(Wakes::Prefix(index)) => {
                    let Some(prefix) = prefix::PREFIXES.get(*index) else { continue };
                    let Some(range) = prefix.read(text, start) else { continue };
                    if prefix.has_partner() {
                        found.extend(prefix::read_partner(text, range.end));
                    }
                    found.push(range);
                }
                Some(Wakes::Assignment) => found.extend(assignment::read(text, start, end)),
                Some(Wakes::Header) if start < after_header => {}
                Some(Wakes::Header) => {
                    let range = header::read(text, start, end);
                    after_header = range.as_ref().map_or(0, |range| range.end);
                    found.extend(range);
                }
                Some(Wakes::Pem) => found.extend(pem.read(text, start)),
                Some(Wakes::Url) => found.extend(url::read(text, start)),
                Some(Wakes::Jwt) => found.extend(prefix::read_jwt(text, start)),
                Some(Wakes::Curl) => found.extend(header::read_curl(text, end)),
                None => {}
            }
        }
    }
}
