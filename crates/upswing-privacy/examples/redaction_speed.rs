//! How fast redaction is: megabytes a second on one core, on plain text and on text that is full of what it finds.
//!
//! `cargo run --release -p upswing-privacy --example redaction_speed`

#![expect(clippy::print_stdout, reason = "it prints what it measures")]

use std::time::{Duration, Instant};

use upswing_privacy::redact::{Redactor, corpus};

const PLAIN: &str = "The answer was mostly right, but it left out the second question: how long does the delivery take, \
    and who pays when a part is missing? I asked twice in 2024 and got 2 different replies. Please read the whole message \
    before you answer, use shorter sentences, and name the source of each number. ";
const UMLAUTS: &str = "Die Antwort war größtenteils richtig, übersah aber die zweite Frage: Wie lange dauert die Lieferung, und \
    wer zahlt, wenn ein Teil fehlt? Bitte künftig kürzere Sätze – und zu jeder Zahl die Quelle. ";
const SIZE: usize = 4 << 20;

fn main() {
    let rich: String = corpus::generate(1).into_iter().map(|labelled| labelled.text + "\n").collect();
    for (name, part) in
        [("plain text", PLAIN), ("plain text with umlauts", UMLAUTS), ("the labelled corpus", rich.as_str())]
    {
        let text = part.repeat(SIZE / part.len() + 1);
        let (mut bytes, mut found, start) = (0, 0, Instant::now());
        while start.elapsed() < Duration::from_secs(1) {
            found = Redactor::new().text(&text).findings.len();
            bytes += text.len();
        }
        let megabytes = bytes as f64 / 1e6 / start.elapsed().as_secs_f64();
        println!(
            "{name}: {megabytes:.0} MB/s, {:.1} findings a kilobyte",
            found as f64 / text.len() as f64 * 1e3
        );
    }
    let comment = &PLAIN[..200.min(PLAIN.len())];
    let (start, rounds) = (Instant::now(), 100_000);
    for _ in 0..rounds {
        Redactor::new().text(std::hint::black_box(comment));
    }
    println!("a comment of 200 bytes: {:.2} µs", start.elapsed().as_secs_f64() * 1e6 / f64::from(rounds));
}
