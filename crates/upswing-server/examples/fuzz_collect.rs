//! Feeds the parsers of feedback, signals, executions, corrections and records inputs that are almost right, and says whether
//! any of them ever panicked.
//!
//! `cargo run --release -p upswing-server --example fuzz_collect -- [INPUTS] [SEED]`: 1,000,000 unless said otherwise. The
//! inputs follow from the seed; one that panics is printed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use upswing_server::read_collected;

#[path = "../tests/http/mutation.rs"]
mod mutation;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let inputs = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1_000_000_u64);
    let seed = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1_u64);
    let mut random = mutation::Random::new(seed);
    let began = Instant::now();
    let (mut understood, mut bytes_read, mut panics) = (0_usize, 0_usize, 0_u64);
    for number in 0..inputs {
        let (bytes, ndjson) = mutation::input(&mut random);
        bytes_read += bytes.len();
        match catch_unwind(AssertUnwindSafe(|| read_collected(&bytes, ndjson))) {
            Ok(count) => understood += count,
            Err(_) => {
                panics += 1;
                println!("input {number} of seed {seed}: {:?}", String::from_utf8_lossy(&bytes));
            }
        }
    }
    println!(
        "collect: {inputs} inputs ({:.2} GB) in {:.0} s, {understood} items understood, panics: {panics}",
        bytes_read as f64 / 1e9,
        began.elapsed().as_secs_f64()
    );
    if panics == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
