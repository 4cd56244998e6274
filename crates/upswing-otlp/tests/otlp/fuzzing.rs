//! A few thousand inputs of the fuzzer that `examples/fuzz.rs` runs for long.

use upswing_otlp::Format;

use crate::captures::{JAVASCRIPT, LOGS, TRACES};
use crate::mutation::{Outcome, Random, input, run};

const INPUTS: u64 = 2_000;

fn fuzz(format: Format, corpus: &[Vec<u8>]) -> Outcome {
    let (mut random, mut outcome) = (Random::new(1), Outcome::default());
    for _ in 0..INPUTS {
        run(format, &input(&mut random, format, corpus), &mut outcome);
    }
    // Were the changes such that little is read, nothing behind the reading would be tried.
    assert!(outcome.read > INPUTS / 4 && outcome.records > INPUTS && outcome.refused > 0, "{outcome:?}");
    outcome
}

#[test]
fn no_protobuf_is_too_odd() {
    let corpus: Vec<Vec<u8>> =
        TRACES.iter().map(|(_, body)| *body).chain(LOGS.iter().copied()).map(<[u8]>::to_vec).collect();
    fuzz(Format::Protobuf, &corpus);
}

#[test]
fn no_json_is_too_odd() {
    fuzz(Format::Json, &[JAVASCRIPT.to_vec(), include_bytes!("../fixtures/written.json").to_vec()]);
}
