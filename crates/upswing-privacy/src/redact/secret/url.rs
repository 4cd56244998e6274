//! Credentials in a URL's user part (RFC 3986, section 3.2.1), and connection strings, which go as a whole: they name
//! the machine, the account and the database as well.

use std::ops::Range;

use super::value;

const LONGEST: usize = 512;
/// Schemes of pages and files, where only the credentials are taken out.
const PAGES: &[&str] = &["http", "https", "ftp", "ftps", "ws", "wss", "git", "socks5", "socks5h"];

/// The credentials around `://`.
pub(super) fn read(text: &str, colon: usize) -> Option<Range<usize>> {
    let scheme = text[..colon]
        .bytes()
        .rev()
        .take(24)
        .take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
        .count();
    let start = colon - scheme;
    let authority = colon + 3;
    let rest = &text[authority..];
    let length: usize = rest
        .chars()
        .take(LONGEST)
        .take_while(|c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '<' | '>' | '`' | '|'))
        .map(char::len_utf8)
        .sum();
    let url = &rest[..length];
    let scheme_end = url.find("://").unwrap_or(url.len());
    let url = &url[..scheme_end];
    let slash = url.find(['/', '?']).unwrap_or(url.len());
    // A password may hold a slash; then there is an @ behind it, and a colon before.
    let at = url[..slash].rfind('@').or_else(|| {
        let first = url[..slash].find(':')?;
        let port = url[first + 1..slash].bytes().all(|b| b.is_ascii_digit());
        if port { None } else { url.rfind('@') }
    })?;
    let (user, password) = url[..at].split_once(':')?;
    if password.is_empty() || is_template(password) || user.contains('/') {
        return None;
    }
    if PAGES.iter().any(|page| text[start..colon].eq_ignore_ascii_case(page)) {
        return Some(authority..authority + at);
    }
    let whole = url.trim_end_matches(['.', ',', ';', ')', ']', '}', '\\']);
    Some(start..authority + whole.len().max(at))
}

fn is_template(password: &str) -> bool {
    value::is_mask(password) && !password.bytes().all(|b| b.is_ascii_alphanumeric())
        || password.starts_with(['$', '{', '<', '['])
        || (password.starts_with('%') && password.ends_with('%'))
        || password.contains("[secret]")
}
