//! E-mail addresses: with an @, with what stands for one (`%40`, `(at)`), and spelled out (`jane dot doe at example dot com`).
//!
//! Local parts and domains may be in any script (RFC 6531). An address needs a domain with a dot: `user@host` is a login,
//! `git@host:path` and `ssh://user@host` name a repository or a machine; none of them is a person's address.

use std::ops::Range;

use super::context::{List, Words, after, before, is_unspaced, is_word};

/// RFC 5321, section 4.5.3.1.
const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 255;
/// As a `[...]` of the web, at most.
const LONGEST_SPACE: usize = 2;

/// What ends a file's name and is no top-level domain: `logo@2x.png`.
const FILES: &[&str] = &[
    "png", "jpg", "jpeg", "gif", "svg", "webp", "css", "html", "htm", "json", "yaml", "yml", "txt", "xml",
    "jar", "exe", "dll", "lock", "toml", "js", "ts", "tsx", "jsx", "service", "timer", "socket", "conf",
    "ini", "pdf", "csv",
];

/// Top-level domains that are enough to believe an address that is spelled out.
const COMMON: &[&str] = &[
    "com",
    "org",
    "net",
    "edu",
    "gov",
    "mil",
    "int",
    "info",
    "biz",
    "io",
    "dev",
    "app",
    "ai",
    "co",
    "me",
    "example",
    "test",
    "de",
    "fr",
    "uk",
    "it",
    "es",
    "nl",
    "be",
    "ch",
    "at",
    "pl",
    "ru",
    "ua",
    "se",
    "no",
    "dk",
    "fi",
    "pt",
    "gr",
    "cz",
    "hu",
    "ro",
    "ie",
    "eu",
    "us",
    "ca",
    "mx",
    "br",
    "ar",
    "cl",
    "in",
    "cn",
    "jp",
    "kr",
    "tw",
    "au",
    "nz",
    "za",
    "tr",
    "il",
    "sg",
    "hk",
    "email",
    "online",
    "xyz",
    "cloud",
    "tech",
    "mail",
    "club",
    "shop",
    "site",
    "invalid",
    "localhost",
];

/// Providers: a word before `at gmail.com` is an address.
const PROVIDERS: &[&str] = &[
    "gmail",
    "googlemail",
    "outlook",
    "hotmail",
    "yahoo",
    "icloud",
    "proton",
    "protonmail",
    "gmx",
    "web",
    "aol",
    "live",
    "fastmail",
    "zoho",
    "yandex",
    "qq",
    "163",
    "126",
    "mail",
    "naver",
    "orange",
    "libero",
    "t-online",
];

/// Words before a spelled-out `at` that are no one's name.
const NOBODY: &[&str] = &[
    "look",
    "looked",
    "looking",
    "meet",
    "us",
    "me",
    "him",
    "her",
    "them",
    "you",
    "it",
    "available",
    "online",
    "site",
    "visit",
    "shop",
    "found",
    "here",
    "is",
    "was",
    "are",
    "be",
    "buy",
    "bought",
    "hosted",
    "page",
    "work",
    "works",
    "working",
    "arrive",
    "start",
    "read",
    "listed",
    "more",
    "blog",
    "go",
    "stay",
    "live",
    "sign",
    "out",
    "up",
    "this",
    "that",
    "documentation",
    "docs",
    "website",
    "posted",
    "published",
    "download",
    "hello",
    "contact",
    "support",
    "everyone",
    "people",
    "team",
];

/// Words that announce an address.
static ANNOUNCE: List = List::new(&[
    "email", "mail", "e", "contact", "reach", "write", "address", "mailto", "correo", "adresse", "send",
]);

/// Finds them.
pub(super) fn find(text: &str, found: &mut Vec<Range<usize>>) {
    for at in memchr::memchr3_iter(b'@', b'%', b'&', text.as_bytes()) {
        let sign = ["@", "%40", "&#64;", "&commat;"].into_iter().find(|sign| text[at..].starts_with(sign));
        let Some(sign) = sign else { continue };
        let range = plain(text, at, at + sign.len()).or_else(|| spaced(text, at, at + sign.len()));
        found.extend(range);
    }
    let bytes = text.as_bytes();
    let apart = |b: Option<&u8>| b.is_some_and(|b| !b.is_ascii_alphanumeric());
    for at in memchr::memchr2_iter(b'a', b'A', bytes) {
        let word = match bytes.get(at + 1) {
            Some(b't' | b'T') => apart(bytes.get(at + 2)),
            Some(b'r' | b'R') => true,
            _ => false,
        };
        if word && apart(at.checked_sub(1).and_then(|before| bytes.get(before))) {
            found.extend(spelled(text, at));
        }
    }
}

/// With a sign: `local@domain`.
fn plain(text: &str, sign: usize, after_sign: usize) -> Option<Range<usize>> {
    let start = local_start(text, sign)?;
    let end = domain_end(text, after_sign)?;
    let local = &text[start..sign];
    if text[..start].ends_with("://") && !text[..start].ends_with("mailto://") {
        return None;
    }
    let path = text[end..].strip_prefix(':').is_some_and(|rest| {
        rest.bytes().take(LONGEST_DOMAIN).take_while(|b| !b.is_ascii_whitespace()).any(|b| b == b'/')
    });
    let repository = path || (local == "git" && text[end..].starts_with([':', '/']));
    (!repository).then_some(start..end)
}

/// With spaces around the sign: only where it cannot be "meet me @ example.com".
fn spaced(text: &str, sign: usize, after_sign: usize) -> Option<Range<usize>> {
    let left = text[..sign].strip_suffix(' ')?;
    let right = text[after_sign..].strip_prefix(' ')?;
    let start = local_start(text, left.len())?;
    let domain = text.len() - right.len();
    let end = domain_end(text, domain)?;
    let local = &text[start..left.len()];
    let believable =
        local.contains(['.', '_', '+']) || Words::before(text, start).back(&ANNOUNCE).is_some_and(|b| b <= 3);
    (believable && has_common_end(&text[domain..end])).then_some(start..end)
}

/// Where the local part that ends here begins.
fn local_start(text: &str, end: usize) -> Option<usize> {
    if let Some(quoted) = text[..end].strip_suffix('"') {
        let start = quoted.char_indices().rev().take(LONGEST_LOCAL).find(|(_, c)| *c == '"' || *c == '\n');
        return start
            .filter(|(at, c)| *c == '"' && at + 1 < quoted.len() && !is_delimited(text, *at))
            .map(|(at, _)| at);
    }
    let unspaced = before(text, end).is_some_and(is_unspaced);
    let mut start = end;
    for (at, c) in text[..end].char_indices().rev().take(LONGEST_LOCAL) {
        let next = after(text, at + c.len_utf8());
        let inner = next.is_some_and(|next| next.is_alphanumeric());
        let part = match c {
            c if c.is_ascii_alphanumeric() => true,
            '.' | '_' | '+' | '-' => true,
            '%' | '\'' | '&' | '!' | '#' | '$' | '*' | '~' | '^' | '=' | '/' => {
                inner
                    && at > 0
                    && !matches!(c, '=' | '/' | '*')
                    && before(text, at).is_some_and(char::is_alphanumeric)
            }
            c if c.is_ascii() => false,
            c if c.is_alphanumeric() => unspaced || !is_unspaced(c),
            // Marks of scripts that write vowels so.
            c => !c.is_whitespace() && !c.is_control() && is_mark(c),
        };
        if !part {
            break;
        }
        start = at;
    }
    let local = text[start..end].trim_start_matches(['.', '-', '+', '%', '\'']);
    let fits = !local.is_empty() && !local.ends_with('.') && !local.contains("..");
    fits.then_some(end - local.len())
}

/// Whether the quote is the one that opens a longer string, as in `["@app", "b"@x]`.
fn is_delimited(text: &str, quote: usize) -> bool {
    before(text, quote).is_some_and(is_word)
}

fn is_mark(c: char) -> bool {
    matches!(u32::from(c), 0x300..=0x36f | 0x900..=0x903 | 0x93a..=0x94f | 0x980..=0xdff)
}

/// Where the domain that starts here ends: labels with dots, the last of letters.
fn domain_end(text: &str, start: usize) -> Option<usize> {
    let (mut at, mut label_start, mut best) = (start, start, None);
    let mut labels = 0;
    let rest = text.get(start..)?;
    for (offset, c) in rest.char_indices().take(LONGEST_DOMAIN).chain([(usize::MAX, ' ')]) {
        let here = if offset == usize::MAX { at } else { start + offset };
        let label = &text[label_start..here];
        let mixed = label.ends_with(|l: char| l.is_ascii()) && is_unspaced(c);
        let inside = !mixed
            && (c.is_ascii_alphanumeric()
                || c == '-'
                || (!c.is_ascii() && (c.is_alphanumeric() || is_mark(c))));
        if inside {
            at = here + c.len_utf8();
            continue;
        }
        let trimmed = label.trim_end_matches('-');
        if trimmed.is_empty() || label.starts_with('-') {
            break;
        }
        // "bob@example.com.Thanks": a sentence begins without a space.
        let previous =
            label_start.checked_sub(1).and_then(|dot| text[start.min(dot)..dot].rsplit('.').next());
        if best.is_some()
            && trimmed.starts_with(char::is_uppercase)
            && trimmed.len() > 1
            && previous.is_some_and(|p| COMMON.contains(&p))
        {
            break;
        }
        labels += 1;
        if labels >= 2 && is_top_level(trimmed) {
            best = Some(label_start + trimmed.len());
        }
        if c != '.' || trimmed.len() < label.len() {
            break;
        }
        label_start = here + 1;
        at = label_start;
    }
    best.filter(|end| !is_file(&text[start..*end]) && !is_version(&text[start..*end]))
}

fn is_top_level(label: &str) -> bool {
    let letters = || label.chars().all(|c| c.is_ascii_alphabetic());
    let foreign = || !label.is_ascii() && label.chars().all(|c| !c.is_ascii_digit() && c != '-');
    // 63 bytes, but no delegated one of letters is longer than 24.
    (label.len() >= 2 && label.len() <= 24 && letters())
        || foreign()
        || (label.starts_with("xn--") && label.len() > 6)
}

fn is_file(domain: &str) -> bool {
    domain.rsplit('.').next().is_some_and(|end| FILES.iter().any(|file| file.eq_ignore_ascii_case(end)))
}

/// `left-pad@1.3.beta`
fn is_version(domain: &str) -> bool {
    let mut labels = domain.split('.');
    let digits = |label: Option<&str>| label.is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
    digits(labels.next()) && digits(labels.next())
}

fn has_common_end(domain: &str) -> bool {
    let end = domain.rsplit('.').next().unwrap_or_default();
    COMMON.iter().any(|common| common.eq_ignore_ascii_case(end))
}

/// A way to write a sign in words: in brackets, which is unmistakable, or bare.
struct Sign {
    start: usize,
    end: usize,
    bracketed: bool,
}

/// The `at` of an address that stands here, if it is one.
fn spelled(text: &str, at: usize) -> Option<Range<usize>> {
    let sign = sign(text, at, &["at", "arroba", "arobase"])?;
    let (start, dots_before) = spelled_local(text, sign.start)?;
    let (end, dots_after) = spelled_domain(text, sign.end)?;
    let local = &text[start..sign.start];
    let domain = &text[sign.end..end];
    let believable = if sign.bracketed {
        true
    } else if local.contains('\'') {
        false
    } else if dots_after {
        dots_before || !NOBODY.iter().any(|word| word.eq_ignore_ascii_case(local))
    } else {
        let provider = domain.split('.').next().unwrap_or_default();
        let known = PROVIDERS.iter().any(|known| known.eq_ignore_ascii_case(provider));
        let named = !NOBODY.iter().any(|word| word.eq_ignore_ascii_case(local));
        let announced = Words::before(text, start).back(&ANNOUNCE);
        let divided = local.starts_with(char::is_alphabetic) && local.trim_matches('.').contains(['.', '_']);
        let by_provider = known && (divided || announced.is_some_and(|back| back <= 4));
        let by_form = divided && announced.is_some() && has_common_end(domain);
        named && (dots_before || by_provider || by_form)
    };
    believable.then_some(start..end)
}

/// Reads a word that stands for a sign, with its brackets and spaces.
fn sign(text: &str, at: usize, words: &[&str]) -> Option<Sign> {
    let word = words
        .iter()
        .find(|word| text.get(at..at + word.len()).is_some_and(|here| here.eq_ignore_ascii_case(word)))?;
    let word_end = at + word.len();
    let (left, right) = (&text[..at], &text[word_end..]);
    let spaces = |n: usize| n.min(LONGEST_SPACE);
    let trimmed = left.len() - spaces(left.len() - left.trim_end_matches(' ').len());
    let after_word = word_end + spaces(right.len() - right.trim_start_matches(' ').len());
    if let Some(closing) = before(text, trimmed).and_then(closing)
        && text[after_word..].starts_with(closing)
    {
        let left = &text[..trimmed - 1];
        let right = &text[after_word + 1..];
        let start = left.len() - spaces(left.len() - left.trim_end_matches(' ').len());
        let end = after_word + 1 + spaces(right.len() - right.trim_start_matches(' ').len());
        return Some(Sign { start, end, bracketed: true });
    }
    (trimmed < at && after_word > word_end).then_some(Sign {
        start: trimmed,
        end: after_word,
        bracketed: false,
    })
}

fn closing(opening: char) -> Option<char> {
    Some(match opening {
        '(' => ')',
        '[' => ']',
        '{' => '}',
        '<' => '>',
        '_' => '_',
        '-' => '-',
        _ => return None,
    })
}

const DOTS: &[&str] = &["dot", "punkt", "punto", "point", "ponto"];

/// The dot that begins here: `.`, `[.]`, ` (dot) `, ` dot `.
fn dot_after(text: &str, at: usize) -> Option<(usize, bool)> {
    let rest = &text[at..];
    if rest.starts_with('.') {
        return Some((at + 1, false));
    }
    for dot in ["[.]", "(.)", "{.}"] {
        if rest.starts_with(dot) {
            return Some((at + dot.len(), true));
        }
    }
    let word = at + rest.bytes().take(5).position(|b| b.is_ascii_alphabetic())?;
    let sign = sign(text, word, DOTS)?;
    (sign.start == at).then_some((sign.end, true))
}

/// The local part before a spelled sign, with dots that are spelled as well.
fn spelled_local(text: &str, end: usize) -> Option<(usize, bool)> {
    let mut start = local_start(text, end)?;
    let mut dots = false;
    // At most three parts: "anna dot maria dot garcia".
    for _ in 0..2 {
        let words = text[..start].char_indices().rev().take(12).filter(|(_, c)| c.is_ascii_alphabetic());
        let sign = words.filter_map(|(at, _)| sign(text, at, DOTS)).find(|sign| sign.end == start);
        let Some(sign) = sign else { break };
        let Some(earlier) = local_start(text, sign.start) else { break };
        (start, dots) = (earlier, true);
    }
    Some((start, dots))
}

/// The domain after a spelled sign: where it ends and whether a dot was spelled.
fn spelled_domain(text: &str, start: usize) -> Option<(usize, bool)> {
    let (mut at, mut spelled) = (start, false);
    let mut best = None;
    for labels in 1..=5 {
        let label: usize = text[at..]
            .chars()
            .take(63)
            .take_while(|c| c.is_alphanumeric() || *c == '-')
            .map(char::len_utf8)
            .sum();
        if label == 0 {
            break;
        }
        let end = at + label;
        let word = &text[at..end];
        if labels > 1 && is_top_level(word) && (!spelled || has_common_end(word)) {
            best = Some((end, spelled));
        }
        let Some((next, in_words)) = dot_after(text, end) else { break };
        spelled |= in_words;
        at = next;
    }
    best.filter(|(end, _)| !is_file(&text[start..*end]))
}
