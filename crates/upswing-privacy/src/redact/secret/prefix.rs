//! Keys and tokens that say what they are. Issuers give them prefixes so that they are found where they should not be.
//!
//! Sources: the issuers' own documentation of their formats, as of 2025.

use std::ops::Range;

use crate::redact::context::{before, is_word};

use super::value;

/// A prefix and what follows it.
#[derive(Debug)]
pub(super) struct Prefix {
    pub(super) text: &'static str,
    least: usize,
    body: Body,
}

#[derive(Debug, Clone, Copy)]
enum Body {
    /// Letters, digits, `-` and `_`.
    Url,
    /// The same with dots.
    Dotted,
    /// Letters and digits.
    Plain,
    /// Capitals and digits, exactly as many.
    Capitals,
    /// Hexadecimal digits.
    Hex,
    /// The same as `Url`, and it must look drawn at random: the prefix is short enough to begin other words.
    Random,
    /// A path.
    Path,
}

const fn p(text: &'static str, least: usize, body: Body) -> Prefix {
    Prefix { text, least, body }
}

/// Longer ones are cut; bounded, so that a text of prefixes is read in linear time.
const LONGEST: usize = 512;

/// How much of a body says whether it is drawn at random.
const HEAD: usize = 64;

/// All prefixes.
pub(super) const PREFIXES: &[Prefix] = &[
    p("sk-", 20, Body::Random),
    p("sk-ant-", 16, Body::Url),
    p("sk-proj-", 16, Body::Url),
    p("sk-svcacct-", 16, Body::Url),
    p("sk-or-v1-", 16, Body::Url),
    p("sk-lf-", 16, Body::Url),
    p("up_sk_", 16, Body::Url),
    p("up_pk_", 16, Body::Url),
    p("ghp_", 16, Body::Plain),
    p("gho_", 16, Body::Plain),
    p("ghu_", 16, Body::Plain),
    p("ghs_", 16, Body::Plain),
    p("ghr_", 16, Body::Plain),
    p("github_pat_", 20, Body::Url),
    p("glpat-", 16, Body::Dotted),
    p("gldt-", 16, Body::Url),
    p("glrt-", 16, Body::Dotted),
    p("glptt-", 16, Body::Url),
    p("glcbt-", 16, Body::Url),
    p("xoxb-", 10, Body::Random),
    p("xoxa-", 10, Body::Random),
    p("xoxp-", 10, Body::Random),
    p("xoxr-", 10, Body::Random),
    p("xoxs-", 10, Body::Random),
    p("xoxe-", 10, Body::Random),
    p("xoxe.", 10, Body::Dotted),
    p("xapp-", 10, Body::Random),
    p("AKIA", 16, Body::Capitals),
    p("ASIA", 16, Body::Capitals),
    p("ABIA", 16, Body::Capitals),
    p("ACCA", 16, Body::Capitals),
    p("LTAI", 16, Body::Random),
    p("AIza", 30, Body::Url),
    p("ya29.", 20, Body::Dotted),
    p("GOCSPX-", 20, Body::Url),
    p("hf_", 20, Body::Random),
    p("npm_", 30, Body::Plain),
    p("pypi-", 30, Body::Random),
    p("SG.", 20, Body::Dotted),
    p("sk_live_", 10, Body::Url),
    p("rk_live_", 10, Body::Url),
    p("pk_live_", 10, Body::Url),
    p("sk_test_", 10, Body::Url),
    p("rk_test_", 10, Body::Url),
    p("pk_test_", 10, Body::Url),
    p("whsec_", 16, Body::Url),
    p("shpat_", 20, Body::Hex),
    p("shpss_", 20, Body::Hex),
    p("shpca_", 20, Body::Hex),
    p("shppa_", 20, Body::Hex),
    p("dop_v1_", 32, Body::Hex),
    p("doo_v1_", 32, Body::Hex),
    p("dor_v1_", 32, Body::Hex),
    p("sq0atp-", 16, Body::Url),
    p("sq0csp-", 16, Body::Url),
    p("lin_api_", 20, Body::Plain),
    p("ntn_", 30, Body::Plain),
    p("figd_", 20, Body::Url),
    p("dckr_pat_", 20, Body::Url),
    p("hvs.", 20, Body::Url),
    p("hvb.", 20, Body::Url),
    p("r8_", 30, Body::Plain),
    p("gsk_", 30, Body::Plain),
    p("xai-", 40, Body::Plain),
    p("pplx-", 32, Body::Plain),
    p("nvapi-", 32, Body::Url),
    p("sntrys_", 20, Body::Url),
    p("sntryu_", 20, Body::Url),
    p("glc_", 30, Body::Random),
    p("glsa_", 30, Body::Random),
    p("PMAK-", 30, Body::Url),
    p("rubygems_", 32, Body::Hex),
    p("dp.pt.", 30, Body::Plain),
    p("pscale_pw_", 20, Body::Dotted),
    p("pscale_tkn_", 20, Body::Dotted),
    p("NRAK-", 20, Body::Plain),
    p("ATATT3x", 40, Body::Url),
    p("sbp_", 30, Body::Hex),
    p("sb_secret_", 16, Body::Url),
    p("CFPAT-", 30, Body::Url),
    p("pat-na1-", 30, Body::Url),
    p("AGE-SECRET-KEY-1", 40, Body::Capitals),
    p("hooks.slack.com/services/", 20, Body::Path),
    p("discord.com/api/webhooks/", 20, Body::Path),
];

impl Prefix {
    /// Whether another secret belongs to it, as the secret access key to the key id of Amazon.
    pub(super) fn has_partner(&self) -> bool {
        matches!(self.text, "AKIA" | "ASIA")
    }

    /// The secret that begins here.
    pub(super) fn read(&self, text: &str, start: usize) -> Option<Range<usize>> {
        let rest = text[start..].strip_prefix(self.text)?;
        if before(text, start).is_some_and(|c| is_word(c) || c == '_') && !matches!(self.body, Body::Path) {
            return None;
        }
        let part = |b: u8| match self.body {
            Body::Url | Body::Random => b.is_ascii_alphanumeric() || b == b'-' || b == b'_',
            Body::Dotted => b.is_ascii_alphanumeric() || b"-_.".contains(&b),
            Body::Plain => b.is_ascii_alphanumeric(),
            Body::Capitals => b.is_ascii_uppercase() || b.is_ascii_digit(),
            Body::Hex => b.is_ascii_hexdigit(),
            Body::Path => b.is_ascii_alphanumeric() || b"-_/".contains(&b),
        };
        let length = rest.bytes().take(LONGEST).take_while(|b| part(*b)).count();
        let body = rest[..length].trim_end_matches(['.', '-']);
        let fits = match self.body {
            Body::Capitals => {
                length >= self.least && !rest[length..].starts_with(|c: char| c.is_alphanumeric())
            }
            Body::Random => body.len() >= self.least && value::is_random(&body[..body.len().min(HEAD)]),
            _ => {
                body.len() >= self.least && body.bytes().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
            }
        };
        (fits && !value::is_mask(body)).then(|| start..start + self.text.len() + body.len())
    }
}

/// The secret access key of Amazon, 40 characters without a mark of its own, that stands not far behind the key id.
pub(super) fn read_partner(text: &str, after: usize) -> Option<Range<usize>> {
    const REACH: usize = 100;
    const LENGTH: usize = 40;
    let bytes = text.as_bytes();
    let part = |b: &u8| b.is_ascii_alphanumeric() || b"+/".contains(b);
    let mut at = after;
    while at < bytes.len().min(after + REACH) {
        let length = bytes[at..].iter().take(LENGTH + 1).take_while(|b| part(b)).count();
        if length == LENGTH && value::is_random(&text[at..at + LENGTH]) {
            return Some(at..at + LENGTH);
        }
        at += length + 1;
    }
    None
}

/// A JSON web token (RFC 7519): `eyJ`, which is base64 for `{"`, and at least two parts.
pub(super) fn read_jwt(text: &str, start: usize) -> Option<Range<usize>> {
    let rest = &text[start..];
    if !rest.starts_with("eyJ") || before(text, start).is_some_and(|c| is_word(c) || "-_.".contains(c)) {
        return None;
    }
    let length = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b)).count();
    let token = rest[..length].trim_end_matches('.');
    let mut parts = token.split('.');
    let long = |part: Option<&str>| part.is_some_and(|part| part.len() >= 8);
    (long(parts.next()) && long(parts.next())).then(|| start..start + token.len())
}
