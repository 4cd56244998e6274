//! Sentences with nothing to find, made of what resembles it.

use super::draw::Draw;
use super::positives::{ALNUM, luhn_digit};

const HEX: &str = "0123456789abcdef";

/// A sentence.
pub(super) fn sentence(draw: &mut Draw) -> String {
    let thing = thing(draw);
    match draw.below(6) {
        0 => thing,
        1 => format!("Look at {thing} again."),
        2 => format!("The log has {thing}, nothing else."),
        3 => format!("\"{thing}\" was in the answer"),
        4 => format!("Es geht um {thing} und nichts weiter."),
        _ => format!("please check {thing} (urgent)"),
    }
}

fn thing(draw: &mut Draw) -> String {
    let small = |draw: &mut Draw| draw.between(0, 20);
    match draw.below(46) {
        0 => format!("order {}", draw.digits(10)),
        1 => format!("invoice INV-2024-{}", draw.digits(6)),
        2 => not_luhn(draw),
        3 => {
            let body = format!("{}{}", draw.of(&["1", "7", "96", "0", "84"]), draw.digits(13));
            let body = format!("{body}{}", draw.digits(15 - body.len()));
            format!("{body}{}", luhn_digit(&body))
        }
        4 => format!("v{}.{}.{}.{}", small(draw), small(draw), small(draw), small(draw)),
        5 => format!("version {}.{}.{}.{}", small(draw), small(draw), small(draw), small(draw)),
        6 => format!("section {}.{}.{}.{}", small(draw), small(draw), small(draw), small(draw)),
        7 => format!("{}.{}.{}", small(draw), small(draw), small(draw)),
        8 => format!("20{:02}-{:02}-{:02}", draw.between(10, 29), draw.between(1, 12), draw.between(1, 28)),
        9 => format!("{:02}.{:02}.20{:02}", draw.between(1, 28), draw.between(1, 12), draw.between(10, 29)),
        10 => format!(
            "2024-{:02}-{:02}T{:02}:{:02}:00Z",
            draw.between(1, 12),
            draw.between(1, 28),
            draw.below(24),
            draw.below(60)
        ),
        11 => format!("{:02}:{:02}:{:02}", draw.below(24), draw.below(60), draw.below(60)),
        12 => format!("ISBN 978-3-16-{}-{}", draw.digits(6), draw.below(10)),
        13 => format!("ISBN {}-{}-{}-{}", draw.below(10), draw.digits(3), draw.digits(5), draw.below(10)),
        14 => format!("EAN {}", ean(draw)),
        15 => format!(
            "{}-{}-4{}-a{}-{}",
            draw.string(HEX, 8),
            draw.string(HEX, 4),
            draw.string(HEX, 3),
            draw.string(HEX, 3),
            draw.string(HEX, 12)
        ),
        16 => format!("commit {}", draw.string(HEX, 40)),
        17 => format!("sha256:{}", draw.string(HEX, 64)),
        18 => format!("${},{:03}.{:02}", draw.between(1, 99), draw.below(1000), draw.below(100)),
        19 => format!(
            "{}.{}, -{}.{}",
            draw.between(10, 59),
            draw.digits(6),
            draw.between(10, 120),
            draw.digits(6)
        ),
        20 => format!("part {}-{}-{}", draw.digits(3), draw.digits(3), draw.digits(4)),
        21 => iban_like(draw),
        22 => format!(
            "{}-{:02}-{}",
            draw.of(&["000", "666", "912", "987"]),
            draw.between(1, 99),
            draw.digits(4)
        ),
        23 => format!("ticket {}-{:02}-{}", draw.between(100, 665), draw.between(1, 99), draw.digits(4)),
        24 => format!("@{}", draw.of(&["ada", "john_doe", "team.lead", "example"])),
        25 => draw
            .of(&["@app.route('/')", "@pytest.fixture", "@Override", "@dataclass(frozen=True)"])
            .to_owned(),
        26 => {
            draw.of(&["@types/node", "@scope/pkg", "npm i @angular/core@17.0.2", "lodash@4.17.21"]).to_owned()
        }
        27 => "git@github.com:owner/project.git".to_owned(),
        28 => format!("data:image/png;base64,iVBORw0KGgo{}", draw.string(ALNUM, 60)),
        29 => draw
            .of(&["Donaudampfschifffahrtsgesellschaft", "pneumonoultramicroscopicsilicovolcanoconiosis"])
            .to_owned(),
        30 => format!("#{}", draw.string(HEX, 6)),
        31 => (0..6).map(|_| draw.string(HEX, 2)).collect::<Vec<_>>().join(":"),
        32 => format!("{}.{}e-{}", draw.below(10), draw.digits(6), draw.between(1, 30)),
        33 => draw
            .of(&["gpt-4-0613", "gpt-3.5-turbo-16k", "claude-3-5-sonnet-20241022", "llama-3.1-70b"])
            .to_owned(),
        34 => draw
            .of(&[
                "the password must have 12 characters",
                "password is required",
                "forgot your password?",
                "a secret sauce",
                "token count: 4096",
                "max_tokens=1024",
                "the key point is trust",
                "bearer of bad news",
                "Token limit 8192",
            ])
            .to_owned(),
        35 => draw
            .of(&[
                "password = os.environ['DB']",
                "api_key=YOUR_API_KEY",
                "password: ${DB_PASSWORD}",
                "token: <your token>",
                "secret=********",
                "password=None",
            ])
            .to_owned(),
        36 => draw.of(&["std::vector<int>", "Foo::Bar", "a[::2]", "x ::= y"]).to_owned(),
        37 => format!("tracking 1Z{}", draw.string("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", 16)),
        38 => {
            format!("Chrome/{}.0.{}.{}", draw.between(90, 130), draw.between(10, 99), draw.between(10, 200))
        }
        39 => format!("port {}", draw.between(1024, 65535)),
        40 => format!("{} people, {}%", draw.between(1000, 99999), draw.between(1, 99)),
        41 => format!("17{}", draw.digits(8)),
        42 => format!("logo@{}x.png", draw.between(2, 3)),
        43 => format!("PN-{}-{}-{}", draw.digits(3), draw.digits(3), draw.digits(4)),
        44 => format!("ticket #{}", draw.digits(9)),
        _ => format!("{} {} {}", draw.between(1, 99), draw.digits(3), draw.digits(3)),
    }
}

/// Sixteen digits that begin as a card's and end with another digit than Luhn's.
fn not_luhn(draw: &mut Draw) -> String {
    let body = format!("4{}", draw.digits(14));
    let wrong = (luhn_digit(&body) + draw.between(1, 9)) % 10;
    let digits = format!("{body}{wrong}");
    if draw.one_in(2) {
        return digits;
    }
    format!("{} {} {} {}", &digits[..4], &digits[4..8], &digits[8..12], &digits[12..])
}

fn ean(draw: &mut Draw) -> String {
    let body = format!("4{}", draw.digits(11));
    let sum: usize = body
        .chars()
        .filter_map(|c| c.to_digit(10))
        .enumerate()
        .map(|(i, d)| d as usize * if i % 2 == 0 { 1 } else { 3 })
        .sum();
    format!("{body}{}", (10 - sum % 10) % 10)
}

/// A German number with the check digits of another one: 98 minus the remainder lies between 02 and 98.
fn iban_like(draw: &mut Draw) -> String {
    format!("DE{}{}", draw.of(&["00", "01", "99"]), draw.digits(18))
}
