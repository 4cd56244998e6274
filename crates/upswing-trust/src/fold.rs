//! Text as it is compared: without case, accents, look-alikes from other scripts, and invisible characters.

/// Characters of other scripts that pass for a Latin letter.
const LOOK_ALIKES: &[(&str, char)] = &[
    ("аα", 'a'),
    ("вβь", 'b'),
    ("сϲ", 'c'),
    ("ԁ", 'd'),
    ("еєε", 'e'),
    ("һн", 'h'),
    ("іıι", 'i'),
    ("ј", 'j'),
    ("кκ", 'k'),
    ("ӏ", 'l'),
    ("м", 'm'),
    ("пη", 'n'),
    ("оοσ", 'o'),
    ("рρ", 'p'),
    ("ԛ", 'q'),
    ("г", 'r'),
    ("ѕ", 's'),
    ("тτ", 't'),
    ("υ", 'u'),
    ("νѵ", 'v'),
    ("ԝω", 'w'),
    ("хχ", 'x'),
    ("уγ", 'y'),
];
/// Latin letters with marks.
const MARKED: &[(&str, char)] = &[
    ("àáâãäåāăą", 'a'),
    ("çćĉċč", 'c'),
    ("ďđð", 'd'),
    ("èéêëēĕėęě", 'e'),
    ("ĝğġģ", 'g'),
    ("ĥħ", 'h'),
    ("ìíîïĩīĭįı", 'i'),
    ("ķ", 'k'),
    ("ĺļľł", 'l'),
    ("ñńņň", 'n'),
    ("òóôõöøōŏő", 'o'),
    ("ŕŗř", 'r'),
    ("śŝşšș", 's'),
    ("ţťŧț", 't'),
    ("ùúûüũūŭůűų", 'u'),
    ("ŵ", 'w'),
    ("ýÿŷ", 'y'),
    ("źżž", 'z'),
];

/// Whether a character takes no room and separates nothing.
fn invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{300}'..='\u{36f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}')
}

fn listed(table: &[(&str, char)], c: char) -> Option<char> {
    table.iter().find(|(from, _)| from.contains(c)).map(|(_, to)| *to)
}

/// The plain form of letters that are styled: full width, mathematical, circled.
fn plain(c: char) -> char {
    let code = u32::from(c);
    let letter = |index: u32| char::from(b'a' + (index % 26) as u8);
    match code {
        0xff01..=0xff5e => char::from((code - 0xff01 + 0x21) as u8),
        // Thirteen styles, each of 26 capitals and 26 small letters.
        0x1d400..=0x1d6a3 => letter(code - 0x1d400),
        0x1d7ce..=0x1d7ff => char::from(b'0' + ((code - 0x1d7ce) % 10) as u8),
        0x24b6..=0x24e9 => letter(code - 0x24b6),
        0x1f130..=0x1f149 => letter(code - 0x1f130),
        _ => c,
    }
}

/// Lower case, without marks, styles and invisible characters. Other scripts stay what they are.
pub(crate) fn fold(text: &str) -> String {
    text.chars()
        .filter(|&c| !invisible(c))
        .flat_map(|c| plain(c).to_lowercase())
        .filter(|&c| !invisible(c))
        .map(|c| if c.is_ascii() { c } else { listed(MARKED, c).unwrap_or(c) })
        .collect()
}

/// A folded word with look-alikes replaced, if it passes for a Latin one: if it has a Latin letter, or nothing but
/// look-alikes. A word of another script is left alone, unless it happens to have no other letters (`ответ`): then it is
/// replaced wherever it stands, and still equals itself.
pub(crate) fn latin(word: &str) -> String {
    if word.is_ascii() {
        return word.to_owned();
    }
    let resembles = |c: char| listed(LOOK_ALIKES, c).is_some();
    let mixed = word.chars().any(|c| c.is_ascii_alphabetic());
    if !mixed && !word.chars().all(resembles) {
        return word.to_owned();
    }
    word.chars().map(|c| listed(LOOK_ALIKES, c).unwrap_or(c)).collect()
}

/// The words of a folded text: letters and digits, look-alikes replaced. An apostrophe within a word is dropped.
pub(crate) fn words(folded: &str) -> Vec<String> {
    let joined: String = folded.chars().filter(|c| !matches!(c, '\'' | '’')).collect();
    joined.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(latin).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disguises_come_off() {
        assert_eq!(words(&fold("Ｈｅｌｌｏ, W\u{200b}ÖRLD! Don’t")), ["hello", "world", "dont"]);
        assert_eq!(words(&fold("ѕсаm 𝐬𝐜𝐚𝐦 ⓢⓒⓐⓜ s\u{301}cam")), ["scam", "scam", "scam", "scam"]);
    }

    #[test]
    fn other_scripts_stay() {
        assert_eq!(words(&fold("Результат неправильный")), ["результат", "неправильный"]);
        assert_eq!(words(&fold("答えが違う")), ["答えが違う"]);
    }
}
