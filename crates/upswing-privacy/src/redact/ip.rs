//! Addresses of the internet protocol. Four numbers with dots are also versions, sections and object identifiers: what
//! stands before them tells.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::context::{List, Words, after, before, is_word};
use super::numbers::{Group, gap};

/// Words that say that four numbers are a version or the number of a section.
static VERSIONS: List = List::new(&[
    "v",
    "ver",
    "vers",
    "version",
    "versions",
    "versión",
    "versão",
    "versione",
    "wersja",
    "версия",
    "版本",
    "バージョン",
    "release",
    "rel",
    "build",
    "rev",
    "revision",
    "firmware",
    "section",
    "sec",
    "§",
    "chapter",
    "clause",
    "paragraph",
    "para",
    "appendix",
    "annex",
    "fig",
    "figure",
    "table",
    "step",
    "item",
    "rule",
    "abschnitt",
    "kapitel",
    "sección",
    "chapitre",
    "capítulo",
    "oid",
    "driver",
    "kernel",
    "sdk",
    "plugin",
    "patch",
    "update",
    "assembly",
    "assemblyversion",
    "fileversion",
    "python",
    "java",
    "jdk",
    "ruby",
    "php",
    "chrome",
    "firefox",
    "safari",
    "edge",
    "android",
    "ios",
    "windows",
    "win",
    "macos",
    "office",
    "dotnet",
    "openssl",
    "productversion",
    "heading",
    "requirement",
    "req",
    "art",
    "article",
]);

/// Words that may stand between such a word and the number.
static FILLERS: List = List::new(&[
    "is", "was", "number", "no", "nr", "to", "from", "of", "the", "at", "and", "now", "is", "auf", "ist", "x",
]);

/// Words about changing versions, a little farther away.
static CHANGES: List = List::new(&[
    "upgrade",
    "upgraded",
    "upgrading",
    "downgrade",
    "downgraded",
    "bump",
    "bumped",
    "released",
    "versions",
]);

/// Words that settle that it is an address.
static ADDRESSES: List = List::new(&[
    "ip",
    "ips",
    "ipv4",
    "host",
    "hosts",
    "server",
    "address",
    "addr",
    "ping",
    "client",
    "gateway",
    "router",
    "subnet",
    "dns",
    "peer",
    "proxy",
    "inet",
    "login",
    "connection",
    "adresse",
    "dirección",
    "nameserver",
]);

/// Finds the four numbers of a chain that are an address.
pub(super) fn find_v4(text: &str, chain: &[Group], found: &mut Vec<Range<usize>>) {
    let mut first = 0;
    while first + 4 <= chain.len() {
        let dotted = (first..first + 3).all(|index| gap(text, chain, index) == ".");
        let octets = chain[first..first + 4].iter().all(|group| is_octet(group.of(text)));
        if dotted && octets && stands_alone(text, chain, first) && !is_version(text, &chain[first..first + 4])
        {
            found.push(chain[first].start..chain[first + 3].end);
            first += 4;
        } else {
            first += 1;
        }
    }
}

fn is_octet(digits: &str) -> bool {
    (digits.len() == 1 || !digits.starts_with('0')) && digits.len() <= 3 && digits.parse::<u8>().is_ok()
}

fn stands_alone(text: &str, chain: &[Group], first: usize) -> bool {
    let (start, end) = (chain[first].start, chain[first + 3].end);
    if first > 0 && gap(text, chain, first - 1).ends_with('.') || gap(text, chain, first + 3) == "." {
        return false;
    }
    let mut left = text[..start].chars().rev();
    let joined = match (left.next(), left.next()) {
        (Some(c), _) if is_word(c) || c == '_' => true,
        (Some('.'), Some(c)) => c.is_alphanumeric(),
        (Some(','), Some(c)) => c.is_ascii_digit(),
        // `name-1.2.3.4` is a package, `Name/1.2.3.4` a user agent; `host.name/1.2.3.4` is how Java writes an address.
        (Some('-' | '+'), Some(c)) => c.is_alphanumeric(),
        (Some('/'), Some(c)) => c.is_alphanumeric() && !is_host(&text[..start - 1]),
        (Some('=' | '~' | '^' | '<' | '>' | '!'), Some('=' | '~' | '>' | '<')) => true,
        (Some('^' | '~'), _) => true,
        _ => false,
    };
    let mut right = text[end..].chars();
    let goes_on = match (right.next(), right.next()) {
        (Some(c), _) if is_word(c) || c == '_' => true,
        (Some('.' | '+'), Some(c)) => c.is_alphanumeric(),
        // A range of addresses goes on with digits, a pre-release with letters.
        (Some('-'), Some(c)) => c.is_alphabetic(),
        _ => false,
    };
    !joined && !goes_on
}

fn is_host(text: &str) -> bool {
    let length: usize = text
        .chars()
        .rev()
        .take(64)
        .take_while(|c| !c.is_whitespace() && !"(\"'=,".contains(*c))
        .map(char::len_utf8)
        .sum();
    let word = &text[text.len() - length..];
    word == "localhost"
        || word.contains("://")
        || (word.contains('.') && word.ends_with(|c: char| c.is_alphabetic()))
}

fn is_version(text: &str, groups: &[Group]) -> bool {
    let start = groups[0].start;
    let words = Words::before(text, start);
    let address = words.back(&ADDRESSES);
    if let Some(back) = words.back(&VERSIONS) {
        let between = back == 0 || (back <= 2 && words.back(&FILLERS).is_some_and(|filler| filler < back));
        if between && address.is_none_or(|address| address > back) {
            return true;
        }
    }
    if address.is_none() && words.back(&CHANGES).is_some_and(|back| back <= 8) {
        return true;
    }
    is_heading(text, groups) && address.is_none()
}

/// `2.1.4.1 Scope` at the beginning of a line: small numbers, then a title.
fn is_heading(text: &str, groups: &[Group]) -> bool {
    let marks = text[..groups[0].start].chars().rev().take(16).find(|c| !"# *".contains(*c));
    let title = text[groups[3].end..]
        .strip_prefix(' ')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_uppercase()));
    title
        && marks.is_none_or(|c| c == '\n')
        && groups.iter().all(|group| group.value(text).is_some_and(|value| value < 30))
}

/// The longest text of an address of version 6, with a zone.
const LONGEST: usize = 45;

/// Finds addresses of version 6: around two colons, or three with groups between.
pub(super) fn find_v6(text: &str, found: &mut Vec<Range<usize>>) {
    let bytes = text.as_bytes();
    let mut free = 0;
    for colon in memchr::memchr_iter(b':', bytes) {
        if colon < free {
            continue;
        }
        let part = |b: &u8| b.is_ascii_hexdigit() || *b == b':' || *b == b'.';
        let start =
            colon - bytes[free..colon].iter().rev().take(5).take_while(|b| b.is_ascii_hexdigit()).count();
        let end = colon + bytes[colon..].iter().take(LONGEST + 1).take_while(|b| part(b)).count();
        free = end.max(colon + 1);
        if let Some(range) = read_v6(text, start, end) {
            free = range.end;
            found.push(range);
        }
    }
}

fn read_v6(text: &str, mut start: usize, mut end: usize) -> Option<Range<usize>> {
    // A label before (`src:fe80::1`) or punctuation after is not part of it.
    if text[start..end].starts_with(':') && !text[start..end].starts_with("::") {
        start += 1;
    } else if before(text, start).is_some_and(is_word) {
        start += text[start..end].find(':')? + 1;
        if text[start..end].starts_with(':') {
            return None;
        }
    }
    if text[start..end].ends_with('.') {
        end -= 1;
    }
    if text[start..end].ends_with(':') && !text[start..end].ends_with("::") {
        end -= 1;
    }
    let address = text.get(start..end)?;
    if address.len() < 3 || address.bytes().filter(|b| *b == b':').count() < 2 {
        return None;
    }
    address.parse::<Ipv6Addr>().ok()?;
    if after(text, end).is_some_and(|c| is_word(c) || c == '_')
        || before(text, start).is_some_and(|c| is_word(c) || c == '_')
    {
        return None;
    }
    let groups = address.split(':').filter(|group| !group.is_empty());
    // `Foo::Bar` of letters that happen to be hexadecimal, and the eight pairs of an EUI-64.
    if !address.bytes().any(|b| b.is_ascii_digit()) && groups.clone().count() < 3 {
        return None;
    }
    if groups.clone().count() == 8 && groups.clone().all(|group| group.len() == 2) {
        return None;
    }
    // `values[::2]`
    let slice = text[..start]
        .strip_suffix('[')
        .is_some_and(|rest| rest.ends_with(|c: char| is_word(c) || c == ']' || c == ')' || c == '_'));
    if slice && text[end..].starts_with(']') {
        return None;
    }
    let zone = text[end..].strip_prefix('%').map_or(0, |zone| {
        let name = zone.bytes().take(16).take_while(|b| b.is_ascii_alphanumeric() || *b == b'-').count();
        if name == 0 { 0 } else { name + 1 }
    });
    Some(start..end + zone)
}
