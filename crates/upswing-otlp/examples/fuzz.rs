//! Feeds the crate inputs that are almost right, and says whether it ever panicked.
//!
//! `cargo run --release -p upswing-otlp --example fuzz -- [INPUTS] [SEED] [protobuf|json]`: 1,000,000 of each format unless
//! said otherwise. The inputs follow from the seed; that of a panic is printed in hexadecimal.
#![expect(clippy::expect_used, reason = "what must hold is found by panicking")]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use upswing_otlp::Format;

#[path = "../tests/otlp/mutation.rs"]
mod mutation;

use mutation::{Outcome, Random, input, run};

macro_rules! fixtures {
    ($($name:literal),*) => {
        vec![$(include_bytes!(concat!("../tests/fixtures/", $name)).to_vec()),*]
    };
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |place: usize, default: u64| arguments.get(place).and_then(|n| n.parse().ok()).unwrap_or(default);
    let (inputs, seed) = (number(0, 1_000_000), number(1, 1));
    let protobuf: Vec<Vec<u8>> = fixtures!(
        "genai-off-traces.pb",
        "genai-traces.pb",
        "openinference-traces.pb",
        "openinference-both-traces.pb",
        "traceloop-traces.pb",
        "two-traces.pb",
        "three-traces.pb",
        "genai-off-logs.pb",
        "genai-event-logs.pb"
    );
    let json: Vec<Vec<u8>> = fixtures!("javascript-traces.json", "written.json");
    let mut panics = 0;
    for (name, format, corpus) in [("protobuf", Format::Protobuf, protobuf), ("json", Format::Json, json)] {
        if arguments.get(2).is_none_or(|only| only == name) {
            panics += fuzz(name, format, &corpus, inputs, seed);
        }
    }
    if panics == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn fuzz(name: &str, format: Format, corpus: &[Vec<u8>], inputs: u64, seed: u64) -> u64 {
    let (mut random, mut outcome, mut panics, mut slowest) =
        (Random::new(seed), Outcome::default(), 0, 0.0_f64);
    let began = Instant::now();
    let mut bytes_read = 0;
    for number in 0..inputs {
        let bytes = input(&mut random, format, corpus);
        bytes_read += bytes.len();
        let began = Instant::now();
        let tried = catch_unwind(AssertUnwindSafe(|| run(format, &bytes, &mut outcome)));
        slowest = slowest.max(began.elapsed().as_secs_f64() * 1e3);
        if tried.is_err() {
            panics += 1;
            if panics <= 5 {
                let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                println!("input {number} of seed {seed}: {hexadecimal}");
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "{name}: {inputs} inputs ({:.1} GB) in {seconds:.0} s, slowest {slowest:.1} ms, panics: {panics}\n  {outcome:?}",
        bytes_read as f64 / 1e9
    );
    panics
}
