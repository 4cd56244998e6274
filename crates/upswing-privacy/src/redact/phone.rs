//! Phone numbers: international ones by their calling code (ITU-T E.164), national ones by the forms in which they are
//! written, and any digits that words before them call a phone number.
//!
//! Nothing checks a phone number, so this is the one kind that weighs: digits that dates, versions, products and orders
//! have as well are left alone unless a word says that they are to be dialled.

use std::ops::Range;

use super::context::{List, Words, after, before, ends_free, is_word};
use super::numbers::{Group, gap};

/// Words before a number that is dialled.
static DIALLED: List = List::new(&[
    "phone",
    "phones",
    "msisdn",
    "telephone",
    "tel",
    "call",
    "calls",
    "called",
    "calling",
    "mobile",
    "cell",
    "cellphone",
    "fax",
    "whatsapp",
    "sms",
    "ring",
    "dial",
    "hotline",
    "helpline",
    "landline",
    "texted",
    "handy",
    "telefon",
    "telefonnummer",
    "handynummer",
    "rufnummer",
    "mobil",
    "mobilnummer",
    "anrufen",
    "telefono",
    "movil",
    "celular",
    "cellulare",
    "telefone",
    "portable",
    "telefoon",
    "mobiel",
    "ph",
    "mob",
    "tlf",
    "gsm",
    "voicemail",
    "signal",
    "viber",
    "telegram",
    "callback",
    "numero",
    "téléphone",
    "tél",
    "appelez",
    "teléfono",
    "móvil",
    "llámame",
    "電話",
    "电话",
    "手机",
    "携帯",
    "тел",
    "позвони",
    "звоните",
    "전화",
    "هاتف",
    "جوال",
    "फोन",
    "फ़ोन",
    "मोबाइल",
    "numéro",
    "número",
    "номер",
    "puhelin",
    "telefonu",
    "numer",
    "komórka",
]);

/// Whose number it is.
const OWNED: &[&str] = &[
    "my number",
    "his number",
    "her number",
    "their number",
    "your number",
    "new number",
    "meine nummer",
    "seine nummer",
    "ihre nummer",
    "mon numéro",
    "mi número",
    "il mio numero",
    "meu número",
    "mijn nummer",
    "mój numer",
    "мой номер",
    "मेरा नंबर",
    "رقمي",
    "我的号码",
];

/// The same in a key: `phone_number`, `mobile`.
pub(super) const KEYS: &[&str] =
    &["phone", "telephone", "tel", "mobile", "cell", "fax", "whatsapp", "msisdn", "telefon"];

/// Words before a number that is something else.
static OTHERS: List = List::new(&[
    "order",
    "orders",
    "invoice",
    "ref",
    "reference",
    "ticket",
    "case",
    "part",
    "sku",
    "serial",
    "tracking",
    "item",
    "id",
    "isbn",
    "isbn13",
    "ean",
    "upc",
    "gtin",
    "model",
    "po",
    "batch",
    "lot",
    "account",
    "acct",
    "iban",
    "card",
    "version",
    "ip",
    "sn",
    "mpn",
    "oem",
    "rma",
    "bestellung",
    "bestellnummer",
    "rechnung",
    "rechnungsnummer",
    "auftrag",
    "sendung",
    "sendungsnummer",
    "commande",
    "facture",
    "pedido",
    "factura",
    "ordine",
    "fattura",
    "artikel",
    "artikelnummer",
    "shipment",
    "parcel",
    "package",
    "confirmation",
    "booking",
    "asset",
    "product",
    "catalog",
    "catalogue",
    "issn",
    "issue",
    "barcode",
    "claim",
    "policy",
    "patent",
    "imei",
    "code",
    "error",
    "transaction",
    "customer",
    "member",
    "employee",
    "date",
    "dated",
    "doi",
    "uuid",
    "vin",
    "page",
    "pages",
    "score",
    "range",
    "coordinates",
    "lat",
    "latitude",
    "longitude",
    "seed",
    "epoch",
    "timestamp",
    "population",
    "siret",
    "siren",
    "nip",
    "zip",
    "ssn",
    "routing",
    "swift",
    "license",
    "licence",
    "registration",
    "form",
    "docket",
    "waybill",
    "awb",
    "ndc",
    "número de pedido",
    "заказ",
    "订单",
    "注文",
]);

/// A calling code has at most three digits, a number with it at most fifteen (E.164).
const LONGEST: usize = 15;
const SHORTEST: usize = 7;

/// The longest number, calling code included, of countries whose numbers have few lengths: what follows is something else.
/// Source: ITU-T's list of national numbering plans.
const LENGTHS: &[(&str, usize)] = &[
    ("1", 11),
    ("7", 11),
    ("20", 12),
    ("27", 11),
    ("30", 12),
    ("31", 11),
    ("32", 11),
    ("33", 11),
    ("34", 11),
    ("36", 11),
    ("39", 13),
    ("40", 11),
    ("41", 11),
    ("44", 12),
    ("45", 10),
    ("46", 11),
    ("47", 10),
    ("48", 11),
    ("49", 13),
    ("52", 13),
    ("55", 13),
    ("61", 11),
    ("63", 12),
    ("64", 12),
    ("65", 10),
    ("66", 11),
    ("81", 12),
    ("82", 12),
    ("84", 12),
    ("86", 13),
    ("90", 12),
    ("91", 12),
    ("92", 12),
    ("351", 12),
    ("353", 12),
    ("358", 13),
    ("380", 12),
    ("420", 12),
    ("421", 12),
    ("852", 11),
    ("880", 13),
    ("966", 12),
    ("971", 12),
    ("972", 12),
];

/// Finds the windows of a chain that are phone numbers.
pub(super) fn find(text: &str, chain: &[Group], found: &mut Vec<Range<usize>>) {
    let mut first = 0;
    while first < chain.len() {
        if let Some(length) = date(text, chain, first) {
            first += length;
            continue;
        }
        match Candidate::read(text, chain, first) {
            Some((start, last)) => {
                found.push(start..extension(text, chain[last].end));
                first = last + 1;
            }
            None => first += 1,
        }
    }
}

/// The groups of a date that starts here: three groups with one separator, no fourth with the same.
fn date(text: &str, chain: &[Group], first: usize) -> Option<usize> {
    let [a, b, c] = chain.get(first..first + 3)? else { return None };
    let separator = gap(text, chain, first);
    let same = |index: usize| gap(text, chain, index) == separator;
    if !matches!(separator, "." | "-" | "/" | ". ") || !same(first + 1) {
        return None;
    }
    if (first + 3 < chain.len() && same(first + 2)) || (first > 0 && same(first - 1)) {
        return None;
    }
    let (x, y, z) = (a.value(text)?, b.value(text)?, c.value(text)?);
    let day_month = |a: u32, b: u32| (1..=31).contains(&a) && (1..=31).contains(&b) && (a <= 12 || b <= 12);
    let is_date = match (a.len(), b.len(), c.len()) {
        (1 | 2, 1 | 2, 2 | 4) => day_month(x, y) && (c.len() == 2 || (1000..=2999).contains(&z)),
        (4, 1 | 2, 1 | 2) => (1000..=2999).contains(&x) && day_month(y, z),
        _ => false,
    };
    is_date.then_some(3)
}

/// A window of a chain with what its surroundings say.
struct Candidate<'t> {
    text: &'t str,
    chain: &'t [Group],
    first: usize,
}

impl<'t> Candidate<'t> {
    /// The number that starts with a group: its first byte and its last group.
    fn read(text: &'t str, chain: &'t [Group], first: usize) -> Option<(usize, usize)> {
        let this = Self { text, chain, first };
        if !this.is_long_enough() {
            return None;
        }
        let start = this.start()?;
        if text[start..].starts_with(['+']) || text[start..].starts_with("(+") {
            return this.international(0).map(|last| (start, last));
        }
        let words = Words::before(text, start);
        let dialled = words.back(&DIALLED);
        let other = words.back(&OTHERS);
        let owned = OWNED.iter().any(|owned| words.contains(owned));
        let is_dialled = owned
            || dialled.is_some_and(|back| back <= 4 && other.is_none_or(|other| back < other))
            || (other.is_none() && this.is_named_after());
        if !is_dialled
            && (other.is_some_and(|back| back <= 2) || words.ends_with("#") || is_identifier(text, start))
        {
            return None;
        }
        let last = this
            .zero_zero()
            .or_else(|| this.national())
            .or_else(|| if is_dialled { this.any() } else { None })?;
        Some((start, last))
    }

    /// Whether what follows has the digits of the shortest number: most groups stand alone, and looking at words costs.
    fn is_long_enough(&self) -> bool {
        self.chain[self.first..].iter().take(SHORTEST).map(|group| group.len()).sum::<usize>() >= SHORTEST
    }

    /// "4155550132 is my cell": ten digits that could be a number of North America, named after.
    fn is_named_after(&self) -> bool {
        let group = self.chain[self.first];
        is_nanp(group.of(self.text))
            && Words::after(self.text, group.end).ahead(&DIALLED).is_some_and(|ahead| ahead <= 3)
    }

    /// Where the number starts, with its plus and bracket; nothing when it is inside something else.
    fn start(&self) -> Option<usize> {
        let mut start = self.chain[self.first].start;
        let text = self.text;
        if self.is_bracketed() {
            start -= 1;
        }
        let spaced = text[..start].strip_suffix("+ ").map(str::len);
        if text[..start].ends_with('+') {
            start -= 1;
        } else if let Some(plus) = spaced {
            start = plus;
        }
        if text[start..].starts_with('+') && text[..start].ends_with('(') && self.closes() {
            start -= 1;
        }
        let mut left = text[..start].chars().rev();
        let free = match (left.next(), left.next()) {
            (None, _) => true,
            (Some(c), _) if is_word(c) || c == '_' || c == '+' || c == '*' => false,
            (Some('.' | ',' | '-' | '/'), Some(c)) if c.is_ascii_digit() => false,
            (Some('-'), Some(c)) if c.is_alphabetic() => false,
            (Some('-'), None) | (Some('-'), Some(' ')) if !self.text[start..].starts_with('+') => {
                // A minus sign or a dash between words.
                left.next().is_some_and(|c| c.is_alphabetic())
            }
            (Some('$' | '€' | '£' | '¥' | '₹' | '#' | '^' | '='), Some(' ')) => false,
            (Some('$' | '€' | '£' | '¥' | '₹' | '#' | '^'), _) => false,
            _ => true,
        };
        free.then_some(start)
    }

    fn closes(&self) -> bool {
        self.gap(self.first).starts_with(')')
    }

    /// Whether the area code stands in brackets of its own: `(030)`, not `(030 123456)`.
    fn is_bracketed(&self) -> bool {
        self.text[..self.chain[self.first].start].ends_with('(') && self.closes()
    }

    fn len(&self, last: usize) -> usize {
        self.chain[self.first..=last].iter().map(|group| group.len()).sum()
    }

    fn gap(&self, index: usize) -> &'t str {
        gap(self.text, self.chain, index)
    }

    /// The groups up to `most` digits that a phone number's separators join.
    fn reach(&self, from: usize, most: usize) -> usize {
        let mut last = self.first;
        while last + 1 < self.chain.len()
            && is_joint(self.gap(last))
            && date(self.text, self.chain, last + 1).is_none()
            && self.len(last + 1) - from <= most
        {
            last += 1;
        }
        // "call 555-0132. 3 of us": a dot with a space ends.
        last
    }

    fn ends(&self, last: usize) -> bool {
        let end = self.chain[last].end;
        let free = ends_free(self.text, end) || extension(self.text, end) > end;
        let identifier = self.text[end..]
            .strip_prefix(['-', '_'])
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_alphabetic()));
        free && !identifier && !self.text[end..].starts_with('_')
    }

    /// With a calling code, after `skip` digits of prefix.
    fn international(&self, skip: usize) -> Option<usize> {
        let mut digits = [0_u8; 24];
        let mut count = 0;
        for byte in
            self.chain[self.first..].iter().take(8).flat_map(|group| group.of(self.text).bytes()).skip(skip)
        {
            let Some(place) = digits.get_mut(count) else { break };
            *place = byte;
            count += 1;
        }
        let number = std::str::from_utf8(digits.get(..count)?).ok()?;
        if number.starts_with('0') {
            return None;
        }
        let (code, most) = match LENGTHS.iter().find(|(code, _)| number.starts_with(code)) {
            Some((code, most)) => (code.len(), *most),
            None => (if is_two_digit_code(number) { 2 } else { 3 }, LONGEST),
        };
        // The trunk zero in brackets, as in +44 (0)20, is one digit more.
        let trunk = self.chain.get(self.first + 1).is_some_and(|group| group.of(self.text) == "0")
            || (self.chain.len() > self.first + 1
                && self.gap(self.first).contains('(')
                && self.chain[self.first + 1].of(self.text).starts_with('0'));
        let last = self.reach(skip, most + usize::from(trunk));
        let len = self.len(last) - skip;
        let decimal = last == self.first + 1 && self.gap(self.first) == ".";
        let fits = if number.starts_with('1') {
            len == 11 && is_nanp(number.get(1..11)?)
        } else {
            len >= SHORTEST.max(code + 5)
        };
        (fits && len <= most + usize::from(trunk) && !decimal && self.ends(last)).then_some(last)
    }

    /// With 00 before the calling code.
    fn zero_zero(&self) -> Option<usize> {
        let head = self.chain[self.first].of(self.text);
        if !head.starts_with("00") || head.starts_with("000") {
            return None;
        }
        let last = self.international(2)?;
        (self.len(last) >= 11).then_some(last)
    }

    /// In a form that is used for phone numbers and little else.
    fn national(&self) -> Option<usize> {
        let mut sizes = [0_usize; 7];
        let mut count = 0;
        for (index, group) in self.chain[self.first..].iter().enumerate().take(sizes.len()) {
            if index > 0
                && (!is_joint(self.gap(self.first + index - 1))
                    || date(self.text, self.chain, self.first + index).is_some())
            {
                break;
            }
            sizes[index] = group.len();
            count += 1;
        }
        // The longest form first; what follows a form with the same separator belongs to it, so that it is another thing.
        (1..=count)
            .rev()
            .find(|count| {
                let last = self.first + count - 1;
                sizes.get(..*count).is_some_and(|sizes| self.is_form(sizes))
                    && self.ends(last)
                    && !self.goes_on(last)
            })
            .map(|count| self.first + count - 1)
    }

    /// Whether another group follows in the same way as the ones before did.
    fn goes_on(&self, last: usize) -> bool {
        let next = self.gap(last);
        let own = if last > self.first { self.gap(last - 1) } else { "" };
        let before = self.first.checked_sub(1).map_or("", |index| self.gap(index));
        matches!(next, "-" | "." | "/")
            || (!before.is_empty() && before == own && before != " ")
            || matches!(before, "." | "-" | "/")
            || (before == " "
                && self.first.checked_sub(1).is_some_and(|index| self.chain[index].len() == 4)
                && self.chain[self.first].len() == 4)
    }

    fn is_form(&self, sizes: &[usize]) -> bool {
        let digits =
            |index: usize| self.chain.get(self.first + index).map_or("", |group| group.of(self.text));
        let area = |index: usize| is_nanp_part(digits(index));
        let bracketed = self.is_bracketed();
        let head = digits(0);
        let uniform = (self.first..self.first + sizes.len() - 1).all(|i| self.gap(i) == self.gap(self.first));
        match sizes {
            [3, 3, 4] if area(0) && area(1) && !head.ends_with("11") => true,
            [1, 3, 3, 4] if head == "1" && area(1) && area(2) => true,
            [1, 3, 3, 2, 2] if head == "8" || head == "7" => true,
            [3, 7] if bracketed && area(0) => true,
            // Brazil's mobile numbers, with and without brackets.
            [2, 5, 4] if digits(1).starts_with('9') && (bracketed || self.gap(self.first + 1) == "-") => true,
            [2, 4, 4] if bracketed => true,
            // China, India, Spain: mobile numbers in their usual groups.
            [3, 4, 4] if head.starts_with('1') && !head.starts_with("10") && uniform => true,
            [5, 5] if head.starts_with(['6', '7', '8', '9']) && self.gap(self.first) == " " => true,
            [3, 2, 2, 2] if head.starts_with(['6', '7', '8', '9']) && uniform => true,
            [3, 3, 3] if bracketed => true,
            _ if bracketed
                && sizes.len() >= 2
                && (2..=5).contains(&sizes[0])
                && self.gap(self.first).contains(')') =>
            {
                (9..=12).contains(&sizes.iter().sum::<usize>())
            }
            _ => self.is_trunk_form(head, sizes, uniform),
        }
    }

    /// A trunk zero, an area code, the rest in groups.
    fn is_trunk_form(&self, head: &str, sizes: &[usize], uniform: bool) -> bool {
        let total: usize = sizes.iter().sum();
        let zero = head.starts_with('0') && !head.starts_with("00") && (head.len() != 1);
        if !zero || !(9..=12).contains(&total) {
            return false;
        }
        match sizes {
            // Mobile numbers of the United Kingdom, France, Germany and others without any separator.
            [10] => head.starts_with("06") || head.starts_with("07") || head.starts_with("04"),
            [11] => ["07", "015", "016", "017"].iter().any(|prefix| head.starts_with(prefix)),
            [12] => ["015", "016", "017"].iter().any(|prefix| head.starts_with(prefix)),
            [_] => false,
            [2, 2, 2, 2, 2] => uniform,
            [2, 2] | [2, 2, ..] => false,
            [first, rest @ ..] => {
                (2..=6).contains(first)
                    && rest.iter().all(|size| (2..=8).contains(size))
                    && (uniform || (self.first..self.first + sizes.len() - 1).all(|i| self.gap(i) != "."))
                    && rest.len() <= 4
            }
            [] => false,
        }
    }

    /// Any digits, because a word says so.
    fn any(&self) -> Option<usize> {
        let mut last = self.reach(0, LONGEST);
        while last > self.first && (!self.ends(last) || self.len(last) > LONGEST) {
            last -= 1;
        }
        let len = self.len(last);
        let one = last == self.first;
        let decimal = !one && last == self.first + 1 && self.gap(self.first) == ".";
        // Seconds and milliseconds since 1970 are written without separators as well.
        let clock = one && (len == 13 || len > 14);
        // Years and counts: "called 2019 2020", "phones 100 200 300".
        let short = !one
            && self.chain[self.first..=last]
                .iter()
                .all(|group| group.len() == 4 && group.of(self.text).starts_with("20"));
        ((SHORTEST..=LONGEST).contains(&len) && !decimal && !clock && !short && self.ends(last))
            .then_some(last)
    }
}

fn is_joint(gap: &str) -> bool {
    matches!(
        gap,
        " " | "-"
            | "."
            | "/"
            | ")"
            | ") "
            | " ("
            | "("
            | ")-"
            | " - "
            | "-("
            | " / "
            | ")."
            | ").("
            | "  "
            | ")/"
            | "/ "
            | ") -"
    )
}

/// `PN-0456 7891`, `A/0123`, `file_0123`: a letter that a separator joins to the number.
fn is_identifier(text: &str, start: usize) -> bool {
    let Some(rest) = text[..start].strip_suffix(['-', '_', '/']) else { return false };
    let joined = before(rest, rest.len()).is_some_and(|c| c.is_alphanumeric());
    joined && !rest.ends_with("wa.me") && !rest.ends_with("tel")
}

fn is_nanp(digits: &str) -> bool {
    digits.len() == 10 && is_nanp_part(&digits[..3]) && is_nanp_part(&digits[3..6])
}

/// Area codes and exchanges begin with 2 to 9 (North American Numbering Plan).
fn is_nanp_part(digits: &str) -> bool {
    digits.starts_with(|c: char| matches!(c, '2'..='9'))
}

/// Codes of two digits are few; all others, but 1 and 7, have three.
fn is_two_digit_code(number: &str) -> bool {
    const CODES: &[&str] = &[
        "20", "27", "28", "30", "31", "32", "33", "34", "36", "39", "40", "41", "43", "44", "45", "46", "47",
        "48", "49", "51", "52", "53", "54", "55", "56", "57", "58", "60", "61", "62", "63", "64", "65", "66",
        "81", "82", "84", "86", "90", "91", "92", "93", "94", "95", "98",
    ];
    number.get(..2).is_some_and(|code| CODES.contains(&code))
}

/// Where the number ends with its extension: `ext. 12`, `x12`, `#12`.
fn extension(text: &str, end: usize) -> usize {
    let rest = &text[end..];
    let trimmed = rest.trim_start_matches([' ', ',']);
    if rest.len() - trimmed.len() > 2 {
        return end;
    }
    for mark in ["extension", "ext.", "ext", "x.", "x", "durchwahl", "dw", "poste", "int."] {
        let Some(here) = trimmed.get(..mark.len()).filter(|here| here.eq_ignore_ascii_case(mark)) else {
            continue;
        };
        let number = trimmed[here.len()..].trim_start_matches([' ', ':', '.']);
        let digits = number.bytes().take(7).take_while(u8::is_ascii_digit).count();
        let skipped = trimmed.len() - here.len() - number.len();
        let closed = after(number, digits).is_none_or(|c| !is_word(c));
        if (1..=6).contains(&digits) && skipped <= 2 && closed {
            return end + (rest.len() - number.len()) + digits;
        }
    }
    end
}
