//! Credentials in the header `Authorization` (RFC 6750, RFC 7617) and in arguments of `curl`.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::redact::context::{before, is_word};

use super::value;

/// The token after `Bearer` or `Basic`.
pub(super) fn read(text: &str, start: usize, end: usize) -> Option<Range<usize>> {
    if before(text, start).is_some_and(is_word) {
        return None;
    }
    let gap = text[end..].bytes().take(4).take_while(|b| b" :=\"'".contains(b)).count();
    let basic = text[start..end].ends_with(' ');
    if gap == 0 && !basic {
        return None;
    }
    let at = end + gap;
    // Refused by its beginning, so that a text of refused tokens is read in linear time.
    let head = token(&text[at..], if basic { LONGEST_BASIC } else { HEAD });
    if !(if basic { is_basic(head) } else { is_bearer(head) }) {
        return None;
    }
    let whole = if basic { head } else { token(&text[at..], usize::MAX) };
    Some(at..at + whole.len())
}

const HEAD: usize = 64;
const LONGEST_BASIC: usize = 512;

fn token(text: &str, most: usize) -> &str {
    let part = |b: &u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(b);
    text[..text.bytes().take(most).take_while(part).count()].trim_end_matches(['.', '-', '/'])
}

fn is_bearer(token: &str) -> bool {
    let digit = token.bytes().any(|b| b.is_ascii_digit());
    token.len() >= 8 && (digit || value::is_random(token)) && !value::is_placeholder(token)
}

/// Base64 of `user:password`.
fn is_basic(token: &str) -> bool {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    token.len() >= 6
        && ENGINE.decode(token).is_ok_and(|decoded| {
            decoded.contains(&b':')
                && std::str::from_utf8(&decoded).is_ok_and(|text| !text.chars().any(char::is_control))
        })
}

/// `curl -u user:password`
pub(super) fn read_curl(text: &str, at: usize) -> Option<Range<usize>> {
    let quotes = text[at..].bytes().take_while(|b| b"'\"".contains(b)).take(1).count();
    let at = at + quotes;
    let rest = &text[at..];
    let length: usize = rest
        .chars()
        .take(256)
        .take_while(|c| !c.is_whitespace() && !"'\"".contains(*c))
        .map(char::len_utf8)
        .sum();
    let (user, password) = rest[..length].split_once(':')?;
    let numeric = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    // `1000:1000` is a user and a group, `:` before slashes a URL.
    let ids = numeric(user) && numeric(password);
    let secret = !user.is_empty() && password.len() >= 3 && !password.starts_with("//");
    (secret && !ids && !value::is_placeholder(password)).then(|| at + user.len() + 1..at + length)
}
