//! Feedback with comments, moderated, scored and redacted, at a rate that many applications never reach.

use super::Bench;
use crate::failure::{Failure, Result};
use crate::process::generate;
use crate::report::{Finding, number};
use crate::traffic;

/// Milliseconds, 99th percentile.
const MOST: f64 = 20.0;
/// Requests a second.
const RATE: f64 = 1000.0;

/// Measures it.
pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let mut server = bench.server().await?;
    let texts = bench.requests(&server, traffic::FEEDBACK, &traffic::comments(&server));
    let mut load = bench.load(server.address(), texts);
    load.rate = Some(RATE);
    load.seconds = bench.seconds * 3.0;
    let outcome = generate(&load).await?;
    server.drain().await?;
    let each = server.processor_time()?;
    server.stop().await?;
    if let Some((status, count)) = outcome.others.iter().next() {
        return Err(Failure::new(format!("{count} comments were answered with {status}")));
    }
    let value = outcome.p99.unwrap_or(f64::NAN);
    bench.say(&format!("comments: p99 {} ms", number(value)));
    let what = "feedback with a comment at 1,000 /s, acknowledged, p99";
    Ok(vec![Finding::at_most(bench.database(), what, value, "ms", MOST).details([
        format!(
            "{} /s, p50 {} ms; moderation, spam score, near-duplicates, redaction on",
            number(outcome.rate()),
            number(outcome.p50.unwrap_or(f64::NAN))
        ),
        format!("{} s of the server's processor time in {} s", number(each), number(load.seconds)),
    ])])
}
