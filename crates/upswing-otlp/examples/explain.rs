//! What Upswing makes of an OTLP body: `cargo run -p upswing-otlp --example explain -- traces body.pb` (or `logs`, or `.json`).

use std::process::ExitCode;

use upswing_otlp::{Format, assemble, read_logs, read_traces, resolve};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, path] = arguments.as_slice() else {
        eprintln!("usage: explain traces|logs FILE.pb|FILE.json");
        return ExitCode::FAILURE;
    };
    let format = if path.ends_with(".json") { Format::Json } else { Format::Protobuf };
    let body = match std::fs::read(path) {
        Ok(body) => body,
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let read = if kind == "logs" { read_logs(format, &body) } else { read_traces(format, &body) };
    let received = match read {
        Ok(received) => received,
        Err(error) => {
            eprintln!("{path}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let executions = assemble(&received.spans);
    println!("{} spans, refused: {:?}", received.spans.len(), received.rejected);
    for span in &received.spans {
        println!("{:?} {} {:?}", span.role, span.name, span.attributes.keys().collect::<Vec<_>>());
    }
    println!("executions: {executions:#?}");
    println!("contents: {:#?}", received.contents);
    for feedback in &received.feedback {
        println!("{feedback:#?} is about {:?}", resolve(&feedback.target, &received.spans, &executions));
    }
    ExitCode::SUCCESS
}
