//! Whether sequential results keep what they promise: false positives, coverage, how long they take, and forecasts.
//!
//! `cargo run --release -p upswing-learn --example calibration -- [REPLICATIONS] [UNITS] [PART]`
//!
//! Every unit goes the way it goes in a server: exposed, folded into a tally, stored as bytes, read, analysed.

mod cells;
mod world;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let mut number = |otherwise: usize| match arguments.next().map(|text| text.parse::<usize>()) {
        None => Ok(otherwise),
        Some(Ok(number)) if number > 1 => Ok(number),
        Some(_) => Err(
            "calibration [REPLICATIONS] [UNITS] [PART]: whole numbers above 1, and a part of a cell's name",
        ),
    };
    let sizes = number(4_000).and_then(|replications| Ok((replications, number(20_000)?)));
    let (replications, units) = match sizes {
        Ok(sizes) => sizes,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::FAILURE;
        }
    };
    let part = std::env::args().nth(3).unwrap_or_default();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    println!(
        "{replications} replications of up to {units} units, alpha 0.05. Looked at after each of the first 200 units, then at every \
         1 % more, and whenever the sequence's bounds are near; the e-process and its p-value look at every unit.\n"
    );
    let met = cells::all(units)
        .into_iter()
        .filter(|cell| cell.name.contains(&part))
        .map(|cell| cell.run(replications, threads))
        .map(|lines| lines.iter().inspect(|line| println!("{line}")).filter(|line| !line.met).count() == 0)
        .fold(true, |all, met| all & met);
    println!("\n{}", if met { "All met." } else { "NOT ALL MET." });
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
