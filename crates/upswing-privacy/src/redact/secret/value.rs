//! What a value looks like: drawn at random, chosen by a person, or a placeholder that hides nothing.

/// Words that stand where a secret would.
const PLACEHOLDERS: &[&str] = &[
    "none",
    "null",
    "nil",
    "true",
    "false",
    "undefined",
    "string",
    "str",
    "text",
    "required",
    "optional",
    "redacted",
    "hidden",
    "removed",
    "empty",
    "unset",
    "missing",
    "invalid",
    "incorrect",
    "wrong",
    "expired",
    "changed",
    "reset",
    "forgotten",
    "password",
    "passwd",
    "passwort",
    "secret",
    "token",
    "key",
    "apikey",
    "api_key",
    "api-key",
    "username",
    "user",
    "bearer",
    "basic",
    "varchar",
    "int",
    "integer",
    "number",
    "bool",
    "boolean",
    "any",
    "object",
    "bytes",
    "char",
    "field",
    "input",
    "value",
    "example",
    "placeholder",
    "todo",
    "n/a",
    "na",
    "unknown",
    "yes",
    "no",
    "ok",
    "the",
    "a",
    "an",
    "is",
    "for",
    "and",
    "or",
    "not",
    "self",
    "this",
    "type",
    "env",
    "vault",
    "enabled",
    "disabled",
    "default",
    "masked",
    "private",
    "public",
];

/// Whether it is only asterisks, dots and the like, or the same character again and again.
pub(in crate::redact) fn is_mask(value: &str) -> bool {
    let mut characters = value.chars();
    let first = characters.next();
    let same = characters.all(|c| Some(c) == first);
    same || value.chars().all(|c| "*•.xX-_#?…●".contains(c))
}

/// Whether it stands for a secret and is none: a template, a variable, a word about secrets.
pub(in crate::redact) fn is_placeholder(value: &str) -> bool {
    let value = value.trim();
    let lower = value.to_ascii_lowercase();
    value.is_empty()
        || is_mask(value)
        || PLACEHOLDERS.contains(&lower.as_str())
        || value.starts_with("${")
        || value.starts_with("$(")
        || value.starts_with("{{")
        || (value.starts_with('{') && value.ends_with('}'))
        || (value.starts_with('<') && value.ends_with('>'))
        || (value.starts_with('[') && value.ends_with(']'))
        || (value.starts_with('%') && (value.ends_with('%') || value.len() <= 3))
        || (value.starts_with('$')
            && value[1..].bytes().all(|b| b.is_ascii_uppercase() || b == b'_' || b.is_ascii_digit()))
        || lower.starts_with("your")
        || lower.contains("redacted")
        || lower.contains("placeholder")
        || value.contains("...")
        || value.contains('…')
}

/// Whether nobody would write it by hand: long, of letters and digits, with few repetitions, not words with dashes.
pub(in crate::redact) fn is_random(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    let upper = value.bytes().any(|b| b.is_ascii_uppercase());
    let lower = value.bytes().any(|b| b.is_ascii_lowercase());
    let run = value.split(|c: char| !c.is_ascii_alphanumeric()).map(str::len).max().unwrap_or_default();
    let mut seen = [false; 256];
    value.bytes().for_each(|b| seen[usize::from(b)] = true);
    let distinct = seen.iter().filter(|seen| **seen).count();
    let mixed = digits > 0 && letters > 0 || (upper && lower && changes(value) * 4 >= value.len());
    value.len() >= 10 && mixed && distinct >= 7 && (run >= 9 || digits >= 4)
}

/// How often case or class changes: often in what is random, at the beginning of words in what is not.
fn changes(value: &str) -> usize {
    let class = |b: &u8| (b.is_ascii_uppercase(), b.is_ascii_digit());
    value.as_bytes().windows(2).filter(|pair| class(&pair[0]) != class(&pair[1])).count()
}

/// Whether a person would choose it as a password rather than write it as a word: digits, signs or capitals inside.
pub(in crate::redact) fn is_chosen(value: &str) -> bool {
    let count = value.chars().count();
    let digit = value.chars().any(|c| c.is_ascii_digit());
    let sign = value.chars().any(|c| !c.is_alphanumeric() && !"'’-.,/".contains(c));
    let inner_capital =
        value.chars().skip(1).any(char::is_uppercase) && value.chars().any(char::is_lowercase);
    count >= 4 && (digit || sign || inner_capital)
}

/// Whether it is a name in a program rather than a value: `settings.password`, `user_input`.
pub(in crate::redact) fn is_code(value: &str) -> bool {
    let name = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':' | '[' | ']' | '\'' | '"' | '&' | '*')
    };
    let reference = value.contains('.') || value.contains('_') || value.contains('[') || value.contains("::");
    reference && value.chars().all(name) && !value.chars().any(|c| c.is_ascii_digit())
}
