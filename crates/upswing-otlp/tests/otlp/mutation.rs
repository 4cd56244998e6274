//! Inputs that are almost right: bodies of a corpus, changed in ways that keep some of their structure. From a seed, so that
//! what was found once is found again.

use serde_json::Value as Json;
use upswing_otlp::{Format, assemble, read_logs, read_traces, resolve};

/// Names that mean something, to be put in places where they mean something else.
pub(crate) const NAMES: &[&str] = &[
    "gen_ai.operation.name",
    "gen_ai.system",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.prompt.0.content",
    "gen_ai.completion.0.content",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.response.id",
    "gen_ai.response.finish_reasons",
    "gen_ai.evaluation.name",
    "gen_ai.evaluation.score.value",
    "openinference.span.kind",
    "llm.input_messages.0.message.content",
    "llm.input_messages.1.message.contents.0.message_content.text",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.name",
    "llm.token_count.prompt",
    "llm.cost.total",
    "input.value",
    "output.value",
    "annotations.0.annotation.name",
    "annotations.0.annotation.score",
    "trace.annotations.0.annotation.label",
    "session.annotations.0.annotation.metadata",
    "session.id",
    "traceloop.span.kind",
    "upswing.decision_id",
    "upswing.context.a",
    "upswing.token",
];

/// What tends to break parsers of JSON.
const TOKENS: &[&[u8]] = &[
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e400",
    b"1e-400",
    b"-0.0",
    b"9223372036854775808",
    b"18446744073709551616",
    b"\"\"",
    b"\"\\ud83d\"",
    b"\"\\udc00\\ud83d\"",
    b"\"\\\\ud83d\"",
    b"\"\\u0000\"",
    b"\"NaN\"",
    b"{}",
    b"[]",
    b"[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]",
    b"\"00000000000000000000000000000000\"",
    b"\"chat\"",
    b"\"invoke_agent\"",
    b"\"[{\\\"role\\\": 1}]\"",
    b"\"2\"",
    b"\xff",
    b"\\",
    b"\"",
    b",",
];

/// A generator of numbers (SplitMix64): small, and the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`; 0 where there is no such number.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.next() % bound as u64) as usize }
    }

    fn pick<'a, T: ?Sized>(&mut self, items: &[&'a T]) -> &'a T {
        items[self.below(items.len())]
    }
}

/// An input: one of the corpus with one to six changes, or (one of 32) bytes without any sense.
pub(crate) fn input(random: &mut Random, format: Format, corpus: &[Vec<u8>]) -> Vec<u8> {
    if random.below(32) == 0 {
        let length = random.below(200);
        return (0..length).map(|_| random.next() as u8).collect();
    }
    let mut bytes = corpus[random.below(corpus.len())].clone();
    // Changed where it stays of its format, mostly, and sometimes anywhere.
    if random.below(3) > 0 {
        for _ in 0..=random.below(3) {
            match format {
                Format::Json => json_value(random, &mut bytes),
                Format::Protobuf => protobuf_field(random, &mut bytes),
            }
        }
        return bytes;
    }
    for _ in 0..=random.below(6) {
        change(random, format, corpus, &mut bytes);
    }
    bytes
}

fn change(random: &mut Random, format: Format, corpus: &[Vec<u8>], bytes: &mut Vec<u8>) {
    let at = random.below(bytes.len());
    match random.below(10) {
        0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
        1 if !bytes.is_empty() => {
            bytes[at] = random.pick(&[&0_u8, &1, &0x7f, &0x80, &0xff, &0x0a, &0x12]).to_owned()
        }
        2 => bytes.truncate(at),
        // A piece of another body.
        3 => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len());
            let piece = &other[from..(from + random.below(300)).min(other.len())];
            let end = (at + random.below(300)).min(bytes.len());
            bytes.splice(at..end, piece.iter().copied());
        }
        // A piece twice, or not at all.
        4 => {
            let piece = bytes[at..(at + random.below(200)).min(bytes.len())].to_vec();
            bytes.splice(at..at, piece);
        }
        5 => {
            let end = (at + random.below(40)).min(bytes.len());
            bytes.drain(at..end);
        }
        _ => match format {
            Format::Json => json_token(random, bytes),
            Format::Protobuf => protobuf_field(random, bytes),
        },
    }
}

/// Changes one value, at any depth, of a text of JSON.
fn json_value(random: &mut Random, bytes: &mut Vec<u8>) {
    let Ok(mut value) = serde_json::from_slice::<Json>(bytes) else { return };
    change_value(random, &mut value);
    *bytes = value.to_string().into_bytes();
}

fn change_value(random: &mut Random, value: &mut Json) {
    let deeper = random.below(12) > 0;
    match value {
        Json::Array(items) if deeper && !items.is_empty() => {
            let place = random.below(items.len());
            match random.below(24) {
                0 => items.push(items[place].clone()),
                1 => drop(items.remove(place)),
                _ => change_value(random, &mut items[place]),
            }
        }
        Json::Object(fields) if deeper && !fields.is_empty() => {
            let place = random.below(fields.len());
            if let Some(field) = fields.values_mut().nth(place) {
                change_value(random, field);
            }
        }
        other => {
            *other = match random.below(4) {
                0 => Json::from(random.pick(NAMES)),
                1 => Json::from(random.next()),
                2 => Json::Array(vec![other.clone(); random.below(3)]),
                _ => serde_json::from_slice(random.pick(TOKENS)).unwrap_or(Json::Null),
            };
        }
    }
}

/// Puts a token in the place of another: what follows a colon, a bracket or a comma up to the next of them.
fn json_token(random: &mut Random, bytes: &mut Vec<u8>) {
    let delimits = |byte: &u8| matches!(byte, b':' | b',' | b'[' | b']' | b'{' | b'}');
    let from = random.below(bytes.len());
    let Some(start) = bytes[from..].iter().position(delimits).map(|found| from + found + 1) else { return };
    let end = bytes[start..].iter().position(delimits).map_or(bytes.len(), |found| start + found);
    let name;
    let token = if random.below(3) == 0 {
        name = format!("\"{}\"", random.pick(NAMES));
        name.as_bytes()
    } else {
        random.pick(TOKENS)
    };
    bytes.splice(start..end, token.iter().copied());
}

/// Changes a message in place and puts the lengths of all around it right, so that the change is reached.
fn protobuf_field(random: &mut Random, bytes: &mut Vec<u8>) {
    if let Some(changed) = rewritten(random, bytes, 0) {
        *bytes = changed;
    }
}

/// The message with one of its fields changed, at any depth; nothing where the bytes are no message.
fn rewritten(random: &mut Random, message: &[u8], depth: usize) -> Option<Vec<u8>> {
    let mut fields: Vec<(u64, Vec<u8>)> = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let length = match key & 7 {
            0 => {
                let before = rest;
                varint(&mut rest)?;
                fields.push((key, before[..before.len() - rest.len()].to_vec()));
                continue;
            }
            1 => 8,
            2 => usize::try_from(varint(&mut rest)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (value, after) = rest.split_at_checked(length)?;
        fields.push((key, value.to_vec()));
        rest = after;
    }
    if fields.is_empty() {
        return None;
    }
    let place = random.below(fields.len());
    let (key, value) = fields[place].clone();
    let deeper = if key & 7 == 2 && depth < 40 && random.below(8) > 0 {
        rewritten(random, &value, depth + 1)
    } else {
        None
    };
    match deeper {
        Some(changed) => fields[place].1 = changed,
        None => match random.below(7) {
            0 => fields[place].0 = (random.below(17) as u64) << 3 | (key & 7),
            1 => fields.push((key, value)),
            2 => {
                fields.remove(place);
            }
            3 if key & 7 == 2 => fields[place].1 = random.pick(NAMES).as_bytes().to_vec(),
            4 if key & 7 == 2 => {
                // A value in lists, as deep as can be.
                let mut nested = value;
                for _ in 0..random.below(120) {
                    nested = field(0x2a, &field(0x0a, &nested));
                }
                fields[place].1 = nested;
            }
            5 if key & 7 == 1 => fields[place].1 = random.next().to_le_bytes().to_vec(),
            _ => {
                let length = random.below(20);
                if key & 7 == 2 {
                    fields[place].1 = (0..length).map(|_| random.next() as u8).collect();
                }
            }
        },
    }
    let mut written = Vec::new();
    for (key, value) in fields {
        if key & 7 == 2 {
            written.extend(field(key, &value));
        } else {
            write_varint(&mut written, key);
            written.extend(value);
        }
    }
    Some(written)
}

fn field(key: u64, value: &[u8]) -> Vec<u8> {
    let mut written = Vec::new();
    write_varint(&mut written, key);
    write_varint(&mut written, value.len() as u64);
    written.extend(value);
    written
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for place in 0..10 {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn write_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// What became of inputs.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Outcome {
    /// Read as a request, though perhaps with refused records.
    pub(crate) read: u64,
    /// Spans, feedback and contents that were recorded.
    pub(crate) records: u64,
    /// Records that were refused alone.
    pub(crate) refused: u64,
    /// Executions that were assembled.
    pub(crate) executions: u64,
}

/// Reads an input as both kinds of request, assembles and resolves, and checks what always holds.
pub(crate) fn run(format: Format, bytes: &[u8], outcome: &mut Outcome) {
    for read in [read_traces, read_logs] {
        let Ok(received) = read(format, bytes) else { continue };
        outcome.read += 1;
        outcome.records += (received.spans.len() + received.feedback.len() + received.contents.len()) as u64;
        outcome.refused += received.rejected.count;
        let executions = assemble(&received.spans);
        outcome.executions += executions.len() as u64;
        for feedback in &received.feedback {
            assert!(feedback.score.is_none_or(f64::is_finite), "a score is a number");
            resolve(&feedback.target, &received.spans, &executions);
        }
        for span in &received.spans {
            assert!(span.started_at <= span.ended_at && span.latency_ms >= 0.0, "times are in order");
            let stored = serde_json::to_string(span).expect("a span is JSON");
            let restored: Result<upswing_otlp::RecordedSpan, _> = serde_json::from_str(&stored);
            let restored = restored.expect("a stored span is read again");
            assert_eq!((restored.span_id, restored.role), (span.span_id, span.role), "and is the same");
        }
        for kind in [upswing_otlp::Kind::Traces, upswing_otlp::Kind::Logs] {
            upswing_otlp::response(kind, format, &received.rejected);
        }
    }
}
