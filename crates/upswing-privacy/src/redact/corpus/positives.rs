//! Values that must be found, in the spellings that people and programs use.

use crate::redact::Kind;

use super::draw::Draw;

pub(super) const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const HEX: &str = "0123456789abcdef";
const FIRST: &[&str] = &[
    "anna", "john", "maria", "li", "fatima", "pierre", "olga", "kenji", "Sofia", "Tom", "jane", "rahul",
    "ingrid", "Ahmed", "lucía", "jürgen", "zoë",
];
const LAST: &[&str] = &[
    "smith", "garcia", "mueller", "tanaka", "Rossi", "ivanova", "dubois", "okafor", "haddad", "nguyen",
    "kowalski", "obrien",
];
const HOSTS: &[&str] = &[
    "example",
    "gmail",
    "mail.acme-corp",
    "uni-bonn",
    "sub.domain.company",
    "t-online",
    "163",
    "fastmail",
    "kanzlei-weber",
    "ymail",
];
const ENDS: &[&str] = &["com", "org", "de", "co.uk", "io", "fr", "museum", "com.br", "edu", "info", "dev"];

/// A value of a kind.
pub(super) fn value(draw: &mut Draw, kind: Kind) -> String {
    match kind {
        Kind::Email => email(draw),
        Kind::Phone => phone(draw),
        Kind::Card => card(draw),
        Kind::Iban => iban(draw),
        Kind::Ip => ip(draw),
        Kind::Ssn => ssn(draw),
        Kind::Secret => token(draw),
    }
}

/// A value that needs something before or after it.
pub(super) fn special(draw: &mut Draw, name: &str) -> (String, String, String) {
    let (before, value, after) = match name {
        "bare_ssn" => ("", ssn_digits(draw), ""),
        "bare_phone" => {
            ("", format!("{}{}{}", draw.between(201, 989), draw.between(200, 989), draw.digits(4)), "")
        }
        "local_phone" => ("", format!("{}-{}", draw.between(200, 989), draw.digits(4)), ""),
        "assigned" => return assigned(draw),
        _ => ("", password(draw), ""),
    };
    (before.to_owned(), value, after.to_owned())
}

fn email(draw: &mut Draw) -> String {
    let (first, last) = (draw.of(FIRST), draw.of(LAST));
    let number = draw.between(1, 99);
    let local = match draw.below(8) {
        0 => first.to_owned(),
        1 => format!("{first}{number}"),
        2 => format!("{first}_{last}"),
        3 => format!("{first}.{last}+news{number}"),
        4 => format!("{}{last}", &first[..1]),
        5 => format!("{first}-{last}"),
        _ => format!("{first}.{last}"),
    };
    let (host, end) = (draw.of(HOSTS), draw.of(ENDS));
    match draw.below(14) {
        0 => format!("{local} (at) {host} (dot) {}", draw.of(&["com", "org", "de"])),
        1 => format!("{local} [at] {host}.{end}"),
        2 => format!("{local}[at]{host}[dot]{}", draw.of(&["com", "net"])),
        3 => format!("{first} dot {last} at example dot com"),
        4 => format!(
            "{local}@{}",
            draw.of(&["bücher.example", "xn--bcher-kva.example", "почта.рф", "例子.测试", "δοκιμή.gr"])
        ),
        5 => format!("{}@{host}.{end}", draw.of(&["пётр", "用户", "δημήτρης", "josé.núñez", "संपर्क"])),
        6 => full_width(&format!("{first}@example.com")),
        7 => format!("{local}@{host}.{end}").to_uppercase(),
        8 => format!("{local}\u{200b}@{host}.{end}"),
        _ => format!("{local}@{host}.{end}"),
    }
}

fn full_width(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_ascii_graphic() { char::from_u32(u32::from(c) + 0xfee0).unwrap_or(c) } else { c })
        .collect()
}

/// The digits of another script.
fn in_script(text: &str, zero: u32) -> String {
    text.chars().map(|c| c.to_digit(10).and_then(|d| char::from_u32(zero + d)).unwrap_or(c)).collect()
}

/// Another look of the same digits and separators.
fn dressed(draw: &mut Draw, text: &str) -> String {
    match draw.below(16) {
        0 => full_width(text),
        1 => in_script(text, 0x660),
        2 => in_script(text, 0x966),
        3 => text.replace('-', "\u{2011}").replace(' ', "\u{a0}"),
        4 => text.replace('-', "\u{2013}").replace(' ', "\u{2009}"),
        5 => text.replace(' ', "\u{202f}"),
        6 => {
            let middle = text.char_indices().nth(text.chars().count() / 2).map_or(0, |(at, _)| at);
            format!("{}\u{200b}{}", &text[..middle], &text[middle..])
        }
        _ => text.to_owned(),
    }
}

fn phone(draw: &mut Draw) -> String {
    let (area, exchange, line) =
        (draw.of(&["415", "212", "646", "303", "972"]), draw.between(220, 989), draw.digits(4));
    let pair = |draw: &mut Draw| draw.digits(2);
    let text = match draw.below(26) {
        0 | 1 => format!("({area}) {exchange}-{line}"),
        2 => format!("{area}-{exchange}-{line}"),
        3 => format!("{area}.{exchange}.{line}"),
        4 => format!("+1-{area}-{exchange}-{line}"),
        5 => format!("+1 {area} {exchange} {line}"),
        6 => format!("+1{area}{exchange}{line}"),
        7 => format!("+44 20 7{} {}", draw.digits(3), draw.digits(4)),
        8 => format!("+44 (0)20 7{} {}", draw.digits(3), draw.digits(4)),
        9 => format!("004930{}", draw.digits(7)),
        10 => format!("+49 30 {}", draw.digits(6)),
        11 => format!("0{} {} {} {} {}", draw.between(6, 7), pair(draw), pair(draw), pair(draw), pair(draw)),
        12 => format!("+33 6 {} {} {} {}", pair(draw), pair(draw), pair(draw), pair(draw)),
        13 => format!("07{} {}", draw.digits(3), draw.digits(6)),
        14 => format!("020 7{} {}", draw.digits(3), draw.digits(4)),
        15 => format!("030 / {}", draw.digits(7)),
        16 => format!("({area}) {exchange}-{line} ext. {}", draw.between(10, 999)),
        17 => format!("+91 9{} {}", draw.digits(4), draw.digits(5)),
        18 => format!("090-{}-{}", draw.digits(4), draw.digits(4)),
        19 => format!("+86 138 {} {}", draw.digits(4), draw.digits(4)),
        20 => format!("(11) 9{}-{}", draw.digits(4), draw.digits(4)),
        21 => format!("+34 6{} {} {}", draw.digits(2), draw.digits(3), draw.digits(3)),
        22 => format!("0171-{}", draw.digits(7)),
        23 => format!("+61 4{} {} {}", draw.digits(2), draw.digits(3), draw.digits(3)),
        24 => format!("+7 (912) {}-{}-{}", draw.digits(3), pair(draw), pair(draw)),
        _ => format!("+41 44 {} {} {}", draw.digits(3), pair(draw), pair(draw)),
    };
    dressed(draw, &text)
}

/// The Luhn digit for digits without one.
pub(super) fn luhn_digit(digits: &str) -> usize {
    let sum: usize = digits
        .chars()
        .rev()
        .filter_map(|c| c.to_digit(10))
        .enumerate()
        .map(|(i, d)| {
            let d = d as usize;
            if i % 2 == 1 {
                d
            } else if d > 4 {
                d * 2 - 9
            } else {
                d * 2
            }
        })
        .sum();
    (10 - sum % 10) % 10
}

fn card(draw: &mut Draw) -> String {
    let (prefix, length) = draw.of(&[
        ("4", 16),
        ("4", 16),
        ("51", 16),
        ("55", 16),
        ("2221", 16),
        ("2720", 16),
        ("34", 15),
        ("37", 15),
        ("6011", 16),
        ("65", 16),
        ("3530", 16),
        ("36", 14),
        ("62", 16),
        ("62", 19),
        ("2202", 16),
        ("6759", 16),
        ("5018", 16),
    ]);
    let body = format!("{prefix}{}", draw.digits(length - prefix.len() - 1));
    let digits = format!("{body}{}", luhn_digit(&body));
    let groups: &[usize] = match length {
        14 => &[4, 6, 4],
        15 => &[4, 6, 5],
        19 => &[4, 4, 4, 4, 3],
        _ => &[4, 4, 4, 4],
    };
    let separator = draw.of(&["", "", " ", " ", "-", ".", "  "]);
    let mut text = String::new();
    let mut from = 0;
    for size in groups {
        if from > 0 {
            text.push_str(separator);
        }
        text.push_str(&digits[from..from + size]);
        from += size;
    }
    dressed(draw, &text)
}

fn iban(draw: &mut Draw) -> String {
    let (country, letters, rest) = draw.of(&[
        ("DE", 0, 18),
        ("GB", 4, 14),
        ("FR", 0, 23),
        ("NL", 4, 10),
        ("ES", 0, 20),
        ("CH", 0, 17),
        ("AT", 0, 16),
        ("BE", 0, 12),
        ("PL", 0, 24),
        ("IE", 4, 14),
        ("NO", 0, 11),
        ("SE", 0, 20),
        ("PT", 0, 21),
        ("TR", 0, 22),
        ("SA", 0, 20),
        ("MT", 4, 23),
    ]);
    let account = format!("{}{}", draw.string("ABCDEFGHKLMNPRSTU", letters), draw.digits(rest));
    let numeric: String = format!("{account}{country}00")
        .chars()
        .filter_map(|c| c.to_digit(36))
        .map(|digit| digit.to_string())
        .collect();
    let remainder =
        numeric.chars().filter_map(|c| c.to_digit(10)).fold(0, |rest, digit| (rest * 10 + digit) % 97);
    let plain = format!("{country}{:02}{account}", 98 - remainder);
    let grouped = |separator: &str| {
        plain
            .as_bytes()
            .chunks(4)
            .map(|chunk| String::from_utf8_lossy(chunk).into_owned())
            .collect::<Vec<_>>()
            .join(separator)
    };
    let text = match draw.below(6) {
        0 | 1 => plain.clone(),
        2 => plain.to_lowercase(),
        3 => grouped("-"),
        4 => grouped(" ").to_lowercase(),
        _ => grouped(" "),
    };
    dressed(draw, &text)
}

fn ip(draw: &mut Draw) -> String {
    let octet = |draw: &mut Draw| draw.below(256);
    let group = |draw: &mut Draw| format!("{:x}", draw.between(16, 0xffff));
    match draw.below(10) {
        0 => format!("2001:db8::{}", group(draw)),
        1 => format!("fe80::{}:{}", group(draw), group(draw)),
        2 => (0..8).map(|_| group(draw)).collect::<Vec<_>>().join(":"),
        3 => format!("2a02:{}:{}::1", group(draw), group(draw)),
        4 => format!("::ffff:{}.{}.{}.{}", octet(draw), octet(draw), octet(draw), octet(draw)),
        5 => format!("10.{}.{}.{}", octet(draw), octet(draw), octet(draw)),
        6 => format!("192.168.{}.{}", octet(draw), octet(draw)),
        _ => format!("{}.{}.{}.{}", draw.between(40, 223), octet(draw), octet(draw), octet(draw)),
    }
}

fn ssn_digits(draw: &mut Draw) -> String {
    let area = loop {
        let area = draw.between(1, 899);
        if area != 666 {
            break area;
        }
    };
    format!("{area:03}{:02}{:04}", draw.between(1, 99), draw.between(1, 9999))
}

fn ssn(draw: &mut Draw) -> String {
    let digits = ssn_digits(draw);
    let separator = draw.of(&["-", "-", "-", " "]);
    let text = format!("{}{separator}{}{separator}{}", &digits[..3], &digits[3..5], &digits[5..]);
    dressed(draw, &text)
}

fn token(draw: &mut Draw) -> String {
    let random = |draw: &mut Draw, length| draw.string(ALNUM, length);
    match draw.below(24) {
        0 => format!("sk-{}", random(draw, 48)),
        1 => format!("sk-ant-api03-{}-{}AA", random(draw, 40), random(draw, 40)),
        2 => format!("sk-proj-{}", random(draw, 64)),
        3 => format!("up_sk_{}", random(draw, 43)),
        4 => format!("ghp_{}", random(draw, 36)),
        5 => format!("github_pat_{}_{}", random(draw, 22), random(draw, 59)),
        6 => format!("glpat-{}", random(draw, 20)),
        7 => format!("xoxb-{}-{}-{}", draw.digits(12), draw.digits(12), random(draw, 24)),
        8 => format!("AKIA{}", draw.string(UPPER, 16)),
        9 => format!("ASIA{}", draw.string(UPPER, 16)),
        10 => format!("AIza{}", random(draw, 35)),
        11 => format!("ya29.{}", random(draw, 60)),
        12 => format!("hf_{}", random(draw, 34)),
        13 => format!("npm_{}", random(draw, 36)),
        14 => format!("pypi-AgEIcHlwaS5vcmc{}", random(draw, 80)),
        15 => format!("SG.{}.{}", random(draw, 22), random(draw, 43)),
        16 => format!("{}_live_{}", draw.of(&["sk", "rk", "pk"]), random(draw, 24)),
        17 => format!("whsec_{}", random(draw, 32)),
        18 => format!("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOi{}.{}", random(draw, 30), random(draw, 43)),
        19 => format!(
            "-----BEGIN {}PRIVATE KEY-----\n{}\n{}\n-----END {0}PRIVATE KEY-----",
            draw.of(&["RSA "]),
            random(draw, 64),
            random(draw, 40)
        ),
        20 => format!("postgres://app:{}@db.internal:5432/prod", random(draw, 14)),
        21 => format!("mongodb+srv://admin:{}@cluster0.ab1cd.mongodb.net/test", random(draw, 12)),
        22 => format!("gho_{}", random(draw, 36)),
        _ => format!("xoxp-{}-{}", draw.digits(11), random(draw, 32)),
    }
}

fn password(draw: &mut Draw) -> String {
    match draw.below(4) {
        0 => format!("{}{}!", draw.of(&["Summer", "Welcome", "Dragon", "P@ss"]), draw.between(10, 2099)),
        1 => draw.string(ALNUM, 8) + "7x",
        2 => format!(
            "{}-{}#{}",
            draw.of(&["correct", "horse", "tr0ub4dor"]),
            draw.string(HEX, 4),
            draw.between(1, 99)
        ),
        _ => draw.string(ALNUM, 22) + "4q",
    }
}

/// A secret that is one by its place alone, with what stands around it.
fn assigned(draw: &mut Draw) -> (String, String, String) {
    let value = password(draw);
    let random = draw.string(ALNUM, 30) + "5k";
    let (before, value, after) = match draw.below(22) {
        0 => ("password=", value, ""),
        1 => ("\"password\": \"", value, "\""),
        2 => ("export DB_PASSWORD=", value, ""),
        3 => ("api_key: ", random, ""),
        4 => ("{\"apiKey\":\"", random, "\"}"),
        5 => ("Authorization: Bearer ", random, ""),
        6 => ("Authorization: Basic ", "ZGVtbzpwYXNzd29yZDEyMw==".to_owned(), ""),
        7 => ("--password ", value, " --verbose"),
        8 => ("https://deploy:", value, "@git.example.org/repo.git"),
        9 => ("client_secret = '", random, "'"),
        10 => ("Server=db;User Id=sa;Password=", value, ";Encrypt=true"),
        11 => ("<password>", value, "</password>"),
        12 => ("aws_secret_access_key = ", draw.string(ALNUM, 38) + "/4", ""),
        13 => ("my password is ", value, ""),
        14 => ("the API key is ", random, " by the way"),
        15 => ("?token=", random, "&page=2"),
        16 => ("X-Api-Key: ", random, ""),
        17 => ("SECRET_KEY_BASE=", random, ""),
        18 => ("Mein Passwort lautet ", value, ""),
        19 => ("contraseña: ", value, ""),
        20 => ("{\\\"password\\\": \\\"", value, "\\\"}"),
        _ => ("密码：", value, ""),
    };
    (before.to_owned(), value, after.to_owned())
}
